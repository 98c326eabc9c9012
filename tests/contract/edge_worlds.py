"""A gateway's edges: as the fake has them, and as network namespaces beside a real Open vSwitch."""

import asyncio
import contextlib
import os
import select
import socket
import threading
import time

import msgspec
import pytest
from pyroute2 import netns

from tests import gre
from tests.contract.switch_worlds import LabWorld
from weft.agent.edge.namespace import NamespaceEdge, Place
from weft.fakes import packet as p
from weft.fakes.edge import FakeEdge
from weft.fakes.frames import frame, packet
from weft.lab import names
from weft.lab.commands import run, within
from weft.lab.external import ensure_external
from weft.lab.state import ExternalState
from weft.model.values import ip_text, pack_ip

OUTSIDE_MAC, ROUTER = 0x020000000099, 0x025745465401
SECONDS = 2.0
UNHEARD_SECONDS = 0.5
OUTSIDE = "203.0.113.1"
TRIES = 5
FAR, NEAR = "198.51.100.1", "198.51.100.10"
"""The ends of GRE connections in tests; the far one is a namespace of its own."""


class FakeWorld:
    def __init__(self):
        self.driver = FakeEdge()

    async def open(self):
        pass

    async def close(self):
        pass

    def afresh(self):
        """A driver without memory, of an agent that starts again."""
        fresh = FakeEdge()
        fresh.edges = dict(self.driver.edges)
        return fresh

    async def outward(self, network, source, target, seconds=SECONDS, leg=0):
        by, known = self.driver.way_out(network.rdid, pack_ip(source), pack_ip(target))
        return known if by == network.legs[leg] else None

    async def comes_back(self, network, source, target):
        return False

    async def lets_in(self, network, leg, source, target):
        return self.driver.lets_in(network.rdid, leg, pack_ip(source), pack_ip(target))

    async def crosses(self, network, target):
        return False

    async def inward(self, network, target, leg=0):
        return self.driver.inward(network.rdid, pack_ip(target))

    async def complains(self, network, target, leg=0):
        return pack_ip(target) if self.driver.inward(network.rdid, pack_ip(target)) else None

    async def into_tunnel(self, network, source, target, tries=TRIES):
        found = self.driver.into_tunnel(network.rdid, pack_ip(source), pack_ip(target))
        return (found.local, found.remote, found.key_value) if found is not None else None

    async def out_of_tunnel(self, network, key, target, tries=TRIES):
        return self.driver.out_of_tunnel(pack_ip(NEAR), pack_ip(FAR), key) == network.rdid

    async def hears_other_than_gre(self):
        return False

    async def left(self):
        return []

    async def restart_switch(self):
        pass

    async def put_all(self, *wanted):
        await all_at_once(self.driver, *wanted)

    def deafen(self, network, on):
        """Nobody can be asked for connections, while it is so."""
        self.driver.deaf = "conntrackd cannot be asked" if on else ""


class NamespaceWorld:
    """Frames are put into the host's end of one veth, and awaited at the host's end of the other."""

    def __init__(self, folder):
        self._lab = LabWorld(folder)
        self.states = folder / "s"
        self._drivers = []

    async def open(self):
        await self._lab.open()
        self.lab = self._lab.lab
        self._host = self.lab.host("host1")
        self._space = f"{self.lab.name}-host1"
        self.driver = self.afresh()
        self._peer = f"{self.lab.name}-peer"
        ensure_external(self.lab, self.lab.read(), ExternalState("peer", 0, f"{FAR}/24", "host1"))

    async def close(self):
        for driver in self._drivers:
            driver.close()
        await self._lab.close()

    def afresh(self):
        place = Place(
            self.lab.rundir(self._host) / "db.sock", "host1", f"{self.lab.name}-host1@edge", states=self.states
        )
        self._drivers.append(Inside(self._space, NamespaceEdge(place, time.monotonic)))
        return self._drivers[-1]

    def on_the_host(self, words):
        """Runs a command there; ovs-vsctl finds its database."""
        found = words.split()
        if found[0] == "ovs-vsctl":
            found.insert(1, f"--db=unix:{self.lab.rundir(self._host) / 'db.sock'}")
        return run(within(self._space, found))

    def in_the_edge(self, network, words):
        return run(within(self.edge_space(network), ["sh", "-c", words]), check=False)

    def edge_space(self, network):
        return f"{self._space}@edge{network.rdid}"

    async def outward(self, network, source, target, seconds=SECONDS, leg=0):
        """The source of what leaves by a leg; None: nothing does."""
        space, link = self.edge_space(network), f"o{leg}"
        for hop in (target, ip_text(network.legs[leg].gateway or pack_ip(target))):
            run(["ip", "-n", space, "neigh", "replace", hop, "lladdr", "02:00:00:00:00:99", "dev", link], check=False)
        sent = p.udp((ROUTER, network.mac), (source, target), (5000, 53))
        ends = f"we{network.rdid}i", f"we{network.rdid}{link}"
        found = await self._pass(ends, sent, lambda one: one.dst_port == 53, seconds)
        return found.ip_src.to_bytes(len(pack_ip(source))) if found else None

    async def comes_back(self, network, source, target):
        """Does what leaves a network for an address within it, or within a peer's, come in again?"""
        sent, link = p.udp((ROUTER, network.mac), (source, target), (5000, 53)), f"we{network.rdid}i"
        found = await self._pass((link, link), sent, lambda one: (one.dst_port, one.eth_src) == (53, network.mac))
        return found is not None

    def _mac(self, network, link):
        command = ["ip", "netns", "exec", self.edge_space(network), "cat", f"/sys/class/net/{link}/address"]
        return int(run(command).strip().replace(":", ""), 16)

    async def lets_in(self, network, leg, source, target):
        """Whether a packet that begins something and comes by a leg for a customer address as it is goes in."""
        sent = p.udp((OUTSIDE_MAC, self._mac(network, f"o{leg}")), (source, target), (53, 5002))
        ends = f"we{network.rdid}o{leg}", f"we{network.rdid}i"
        return await self._pass(ends, sent, lambda one: one.dst_port == 5002, UNHEARD_SECONDS) is not None

    async def crosses(self, network, target):
        """Does what comes by the first leg for somebody outside leave by the second, where he is on link?"""
        words = ["lladdr", "02:00:00:00:00:98", "dev", "o1"]
        run(["ip", "-n", self.edge_space(network), "neigh", "replace", target, *words])
        sent = p.udp((OUTSIDE_MAC, self._mac(network, "o0")), (OUTSIDE, target), (53, 5003))
        ends = f"we{network.rdid}o0", f"we{network.rdid}o1"
        return await self._pass(ends, sent, lambda one: one.dst_port == 5003, UNHEARD_SECONDS) is not None

    def _inward(self, network, target, leg, port):
        outside = "2001:db8:ff::1" if ":" in target else OUTSIDE
        return p.udp((OUTSIDE_MAC, self._mac(network, f"o{leg}")), (outside, target), (53, port))

    async def complains(self, network, target, leg=0):
        """Who says, by the same leg, that a packet cannot go on which comes by it: that its time is over."""
        space, hop = self.edge_space(network), ip_text(network.legs[leg].gateway)
        run(["ip", "-n", space, "neigh", "replace", hop, "lladdr", "02:00:00:00:00:99", "dev", f"o{leg}"])
        sent = msgspec.structs.replace(self._inward(network, target, leg, 5004), ttl=1)
        end, over = f"we{network.rdid}o{leg}", {(p.ICMP, 11), (p.ICMPV6, 3)}
        found = await self._pass((end, end), sent, lambda one: (one.ip_proto, one.icmp_type) in over)
        return found.ip_src.to_bytes(len(pack_ip(target))) if found else None

    async def inward(self, network, target, leg=0):
        sent = self._inward(network, target, leg, 5001)
        ends = f"we{network.rdid}o{leg}", f"we{network.rdid}i"
        found = await self._pass(ends, sent, lambda one: one.dst_port == 5001)
        return found.ip_dst.to_bytes(len(pack_ip(target))) if found else None

    async def into_tunnel(self, network, source, target, tries=TRIES):
        """(From, to, key) of the GRE packet that comes to the far end; the packet in it must be what was sent."""
        sent = p.udp((ROUTER, network.mac), (source, target), (5000, 53))

        def work():
            with in_namespace(self._peer, gre.channel) as far, _wire(f"we{network.rdid}i") as inner:
                for _ in range(tries):
                    inner.send(frame(sent))
                    while select.select([far], [], [], SECONDS / TRIES)[0]:
                        *ends, found = gre.unwrapped(far.recv(2048))
                        kind, at = (b"\x86\xdd", 8) if ":" in source else (b"\x08\x00", 12)
                        if packet(bytes(12) + kind + found).dst_port == 53:
                            both = pack_ip(source) + pack_ip(target)
                            assert found[at : at + len(both)] == both
                            return tuple(ends)
            return None

        return await asyncio.to_thread(in_namespace, self._space, work)

    async def out_of_tunnel(self, network, key, target, tries=TRIES):
        """Whether a packet that the far end sends with that key reaches the network."""
        source = "fd09::1" if ":" in target else "10.9.0.1"
        inside = frame(p.udp((OUTSIDE_MAC, ROUTER), (source, target), (53, 5001)))[14:]

        def work():
            with in_namespace(self._peer, gre.channel) as far, _wire(f"we{network.rdid}i") as inner:
                for _ in range(tries):
                    far.sendto(gre.wrapped(inside, key), (NEAR, 0))
                    while select.select([inner], [], [], SECONDS / TRIES)[0]:
                        data, (_, _, kind, *_) = inner.recvfrom(2048)
                        if kind != socket.PACKET_OUTGOING and packet(data).dst_port == 5001:
                            return True
            return False

        return await asyncio.to_thread(in_namespace, self._space, work)

    async def hears_other_than_gre(self):
        """Does the host answer a ping at the near end?"""
        done = run(["ip", "netns", "exec", self._peer, "ping", "-c", "1", "-W", "1", NEAR], check=False)
        return " 0% packet loss" in done

    async def restart_switch(self):
        await self._lab.restart("host1")

    async def put_all(self, *wanted):
        await self.driver.put_all(*wanted)

    def deafen(self, network, on):
        """Its daemon lives, and nobody can speak to it, while it is so."""
        deafen(self.states, network.rdid, on)

    async def left(self):
        """What edges have left on the host, beside their namespaces."""
        database = self.lab.rundir(self._host) / "db.sock"
        bridges = run(["ovs-vsctl", f"--db=unix:{database}", "list-br"]).split()
        ports = run(["ovs-vsctl", f"--db=unix:{database}", "list-ports", names.PROVIDER_BRIDGE]).split()
        links = run(["ip", "-n", self._space, "-br", "link"]).split("\n")
        return [one for one in (*bridges, *ports, *links) if one.startswith("we")]

    async def _pass(self, ends, sent, wanted, seconds=SECONDS):
        return await asyncio.to_thread(in_namespace, self._space, lambda: _exchange(ends, sent, wanted, seconds))


def deafen(folder, rdid, on):
    """Of the daemon with its files in this folder."""
    ends = folder / f"{rdid}.ctl", folder / f"{rdid}.away"
    os.rename(*(ends if on else reversed(ends)))


async def all_at_once(driver, *wanted):
    """As the keeper does."""
    await asyncio.gather(*map(driver.put, wanted))


class Inside:
    """The driver of an agent that runs in the host's namespace: all of it in one loop, as in an agent."""

    def __init__(self, space, driver):
        self._driver, self._loop = driver, asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(space,))
        self._thread.start()

    def _run(self, space):
        netns.setns(space)
        self._loop.run_forever()
        self._driver.close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def put_all(self, *wanted):
        await self._do(all_at_once(self._driver, *wanted))

    async def _do(self, work):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def __getattr__(self, name):
        return lambda *arguments: self._do(getattr(self._driver, name)(*arguments))


def in_namespace(space, work):
    """What `work` answers, from a thread that is in a namespace; its own threads and processes are, too."""
    answer = []

    def enter():
        netns.setns(space)
        try:
            answer.append((True, work()))
        except Exception as error:
            answer.append((False, error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    done, found = answer[0]
    if not done:
        raise found
    return found


def _wire(end):
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    channel.bind((end, 0))
    return channel


def _exchange(ends, sent, wanted, seconds):
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(_wire(end)) for end in ends]
        channels[0].send(frame(sent))
        family = sent.eth_type.to_bytes(2)
        while select.select([channels[1]], [], [], seconds)[0]:
            data, (_, _, kind, *_) = channels[1].recvfrom(2048)
            if kind == socket.PACKET_OUTGOING or data[12:14] != family:
                continue
            found = packet(data)
            if wanted(found):
                return found
    return None


@contextlib.asynccontextmanager
async def edge_world(kind, folder):
    if kind == "namespace" and os.geteuid() != 0:
        pytest.skip("needs root")
    made = FakeWorld() if kind == "fake" else NamespaceWorld(folder)
    try:
        await made.open()
        yield made
    finally:
        await made.close()
