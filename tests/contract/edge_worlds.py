"""A gateway's edges: as the fake has them, and as network namespaces beside a real Open vSwitch."""

import asyncio
import contextlib
import os
import select
import socket
import threading

import pytest
from pyroute2 import netns

from tests.contract.switch_worlds import LabWorld
from weft.agent.edge.namespace import NamespaceEdge, Place
from weft.fakes import packet as p
from weft.fakes.edge import FakeEdge
from weft.fakes.frames import frame, packet
from weft.lab.commands import run
from weft.model.values import pack_ip

OUTSIDE_MAC, ROUTER = 0x020000000099, 0x025745465401
SECONDS = 2.0


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

    async def outward(self, network, source, target):
        return self.driver.outward(network.rdid, pack_ip(source), pack_ip(target))

    async def inward(self, network, target):
        return self.driver.inward(network.rdid, pack_ip(target))


class NamespaceWorld:
    """Frames are put into the host's end of one veth, and awaited at the host's end of the other."""

    def __init__(self, folder):
        self._lab = LabWorld(folder)
        self._made = []

    async def open(self):
        await self._lab.open()
        self.lab = self._lab.lab
        self._host = self.lab.host("host1")
        self._space = f"{self.lab.name}-host1"
        self.driver = self.afresh()

    async def close(self):
        await self._lab.close()

    def afresh(self):
        place = Place(self.lab.rundir(self._host) / "db.sock", "host1", f"{self.lab.name}-host1@edge")
        return Inside(self._space, NamespaceEdge(place))

    def _edge_space(self, network):
        return f"{self._space}@edge{network.rdid}"

    async def outward(self, network, source, target):
        space = self._edge_space(network)
        run(["ip", "-n", space, "neigh", "replace", target, "lladdr", "02:00:00:00:00:99", "dev", "o0"], check=False)
        sent = p.udp((ROUTER, network.mac), (source, target), (5000, 53))
        found = await self._pass((f"we{network.rdid}i", f"we{network.rdid}o0"), sent, lambda one: one.dst_port == 53)
        return found.ip_src.to_bytes(4) if found else None

    async def inward(self, network, target):
        space = self._edge_space(network)
        mac = int(run(["ip", "netns", "exec", space, "cat", "/sys/class/net/o0/address"]).strip().replace(":", ""), 16)
        sent = p.udp((OUTSIDE_MAC, mac), ("203.0.113.1", target), (53, 5001))
        found = await self._pass((f"we{network.rdid}o0", f"we{network.rdid}i"), sent, lambda one: one.dst_port == 5001)
        return found.ip_dst.to_bytes(4) if found else None

    async def _pass(self, ends, sent, wanted):
        return await asyncio.to_thread(_in, self._space, lambda: _exchange(ends, sent, wanted))


class Inside:
    """The driver of an agent that runs in the host's namespace."""

    def __init__(self, space, driver):
        self._space, self._driver = space, driver

    def __getattr__(self, name):
        def call(*arguments):
            return asyncio.to_thread(_in, self._space, lambda: asyncio.run(getattr(self._driver, name)(*arguments)))

        return call


def _in(space, work):
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


def _exchange(ends, sent, wanted):
    with contextlib.ExitStack() as stack:
        channels = []
        for end in ends:
            channel = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)))
            channel.bind((end, 0))
            channels.append(channel)
        channels[0].send(frame(sent))
        while select.select([channels[1]], [], [], SECONDS)[0]:
            data, (_, _, kind, *_) = channels[1].recvfrom(2048)
            if kind == socket.PACKET_OUTGOING or data[12:14] != b"\x08\x00":
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
