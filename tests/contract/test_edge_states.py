"""The daemons by which gateways keep each other's connections, beside a real edge: by level, whoever made them."""

import asyncio
import functools
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from tests.contract.edge_worlds import deafen, edge_world, in_namespace
from tests.contract.test_edge import EDGE, LEG
from tests.waiting import until
from weft.agent.edge.conntrackd import ANSWER_SECONDS, Conntrackd
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.lab import namespaces
from weft.lab.commands import run, within
from weft.model.records import EdgeNetwork
from weft.model.values import PackedIp, Rdid, ip_text, pack_ip

pytestmark = pytest.mark.root

ONE, TWO, THREE = (pack_ip(f"192.168.1.{number}") for number in (10, 11, 12))


def edge(*gateways: PackedIp, nat: bool = True) -> Wanted:
    leg = LEG if nat else msgspec.structs.replace(LEG, nat=pack_ip("0.0.0.0")[:0])
    return Wanted(msgspec.structs.replace(EDGE, gateways=gateways, legs=(leg,)), True, 1458)


def daemons(space: str) -> list[int]:
    found = run(["ip", "netns", "pids", space], check=False).split()
    return [int(pid) for pid in found if Path("/proc", pid, "comm").read_text().strip() == "conntrackd"]


def told(pid: int) -> str:
    """The file it was started with."""
    return Path(Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[2].decode()).read_text()


async def test_a_life(tmp_path_factory):
    """One story, since a real Open vSwitch takes a second to come."""
    async with edge_world("namespace", tmp_path_factory.mktemp("e")) as world:
        space = world.edge_space(EDGE)
        assert await world.driver.put(edge(ONE)) == ""
        assert daemons(space) == [], "there is nobody whom it could tell"
        await world.driver.put(edge(ONE, TWO))
        [first] = daemons(space)
        assert "FTFW" in told(first) and "169.254.87.1" in told(first)

        fresh = world.afresh()
        await fresh.put(edge(ONE, TWO))
        assert daemons(space) == [first], "known without memory"
        await fresh.put(edge(TWO, ONE, THREE))
        [second] = daemons(space)
        assert second != first and "NOTRACK" in told(second) and "IPv4_interface 169.254.87.2" in told(second)
        shown = run(["bridge", "-n", space, "fdb", "show", "dev", "peers"])
        assert "dst 192.168.1.11" in shown and "dst 192.168.1.12" in shown

        os.kill(second, signal.SIGKILL)
        fresh = world.afresh()
        assert await fresh.put(edge(TWO, ONE, THREE)) == ""
        assert len(daemons(space)) == 1 and daemons(space) != [second]

        assert reaches(space, "10.1.254.2", 3781)
        assert not reaches(space, "10.1.254.2", 3780), "a tenant cannot speak to it"
        await fresh.put(edge(ONE, TWO, nat=False))
        assert daemons(space) == [] and "peers" not in run(["ip", "-n", space, "link"])
        await fresh.put(edge(ONE, TWO))
        assert len(daemons(space)) == 1
        sealed = msgspec.structs.replace(edge(ONE, TWO), encrypted=True)
        for driver in (fresh, fresh, world.afresh()):
            assert "the network is encrypted" in await driver.put(sealed)
            assert daemons(space) == [] and "peers" not in run(["ip", "-n", space, "link"]), "that link is in clear"
        assert await fresh.put(edge(ONE, TWO)) == ""
        assert len(daemons(space)) == 1
        await asks_until_it_is_heard(world, fresh)
        await fresh.remove(Rdid(7))
        assert space not in run(["ip", "netns"])


async def asks_until_it_is_heard(world, driver):
    """After a split, whether it carries its network meanwhile or not. The edge is put already."""
    split, again = (msgspec.structs.replace(edge(ONE, TWO), splits=number) for number in (1, 2))
    world.deafen(EDGE, True)
    assert await driver.put(edge(ONE, TWO)) == "", "nothing to ask"
    for _ in range(2):
        assert "conntrackd" in await driver.put(split)
    world.deafen(EDGE, False)
    assert await driver.put(split) == ""
    world.deafen(EDGE, True)
    for number, carries in ((1, True), (1, False), (1, True)):
        assert await driver.put(msgspec.structs.replace(split, carries=carries)) == "", number
    assert "conntrackd" in await driver.put(again)
    world.deafen(EDGE, False)
    assert await driver.put(again) == ""


async def test_the_fake_asks_as_a_real_one():
    async with edge_world("fake", None) as world:
        alone = msgspec.structs.replace(edge(ONE), splits=1)
        world.deafen(EDGE, True)
        assert await world.driver.put(alone) == "", "there is nobody whom it could ask"
        assert "conntrackd" in await world.driver.put(edge(ONE, TWO))
        world.deafen(EDGE, False)
        assert await world.driver.put(edge(ONE, TWO)) == ""
        await asks_until_it_is_heard(world, world.driver)


def reaches(space: str, address: str, port: int) -> bool:
    """Does a datagram for that port come to whoever listens there, other than by the link of the gateways?"""
    script = f"""
import socket
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
ear.bind(("{address}", {port}))
ear.settimeout(0.5)
mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mouth.sendto(b"!", ("{address}", {port}))
ear.recv(1)
"""
    done = subprocess.run(["ip", "netns", "exec", space, "python3", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 or "TimeoutError" in done.stderr or "timed out" in done.stderr, done.stderr
    return done.returncode == 0


async def test_a_host_without_conntrackd_says_what_that_costs(tmp_path):
    states = Conntrackd(tmp_path, time.monotonic, "conntrackd-that-is-not-here")
    with pytest.raises(EdgeFailure, match="behind nat .*apt-get install conntrackd"):
        await states.keep("nowhere", edge(ONE, TWO).network)


def _run(work):
    return asyncio.run(work())


async def _to_the_end(states, step, words):
    """What is left for later, too."""
    if step == "later":
        states.later(*words, True)
    else:
        await getattr(states, step)(*words)
    await states.settled()


class Gateways:
    """Hosts on one segment, each with the namespace of an edge, and no switch: only what states need."""

    def __init__(self, name: str, folder: Path, number: int) -> None:
        self._name, self._folder = name, folder
        self._addresses = [pack_ip(f"192.168.9.{n + 1}") for n in range(number)]
        self._ahead_s = 0.0
        self.daemons = [self.daemon(n) for n in range(number)]

    def daemon(self, n: int) -> Conntrackd:
        """Of an agent that has just begun."""
        return Conntrackd(self._folder / str(n), lambda: time.monotonic() + self._ahead_s)

    def lets_pass(self, seconds: float) -> None:
        self._ahead_s += seconds

    def _space(self, what: str) -> str:
        return f"{self._name}-{what}"

    def space(self, n: int) -> str:
        return self._space(f"e{n}")

    def open(self) -> None:
        run(["ip", "netns", "add", self._space("sw")])
        run(["ip", "-n", self._space("sw"), "link", "add", "br0", "up", "type", "bridge"])
        for n, address in enumerate(self._addresses):
            host = self._space(f"h{n}")
            for one in (host, self.space(n)):
                run(["ip", "netns", "add", one])
                run(["ip", "-n", one, "link", "set", "lo", "up"])
            ends = ["type", "veth", "peer", "name", f"p{n}", "netns", self._space("sw")]
            run(["ip", "-n", host, "link", "add", "nic", *ends])
            run(["ip", "-n", self._space("sw"), "link", "set", f"p{n}", "master", "br0", "up"])
            run(["ip", "-n", host, "addr", "add", f"{ip_text(address)}/24", "dev", "nic"])
            run(["ip", "-n", host, "link", "set", "nic", "up"])

    def close(self) -> None:
        for line in run(["ip", "netns"]).splitlines():
            if line.startswith(f"{self._name}-"):
                namespaces.delete(line.split()[0])

    def cable(self, n: int, state: str) -> None:
        run(["ip", "-n", self._space(f"h{n}"), "link", "set", "nic", state])

    def network(self, n: int) -> EdgeNetwork:
        own = self._addresses[n]
        return msgspec.structs.replace(edge(*self._addresses).network, provider_address=own, rdid=Rdid(n + 1))

    def is_kept(self, n: int) -> bool:
        return self.daemons[n].is_kept(self.space(n), self.network(n))

    def does(self, n: int, *steps: str, splits: int = 0) -> None:
        """What its agent asks of the daemon."""
        network = self.network(n)
        for step in steps:
            words = (self.space(n), network, splits) if step == "keep" else (network.rdid,)
            work = functools.partial(_to_the_end, self.daemons[n], step, words)
            in_namespace(self._space(f"h{n}"), functools.partial(_run, work))

    def forgets(self, n: int) -> None:
        """What the others told."""
        run(within(self.space(n), ["conntrackd", "-C", str(self._folder / str(n) / f"{n + 1}.conf"), "-f", "external"]))

    def connect(self, n: int, protocol: str, port: int) -> None:
        """As if a machine had, behind nat, and an answer had come."""
        ends = f"-s 10.1.1.11 -d 203.0.113.1 --sport {port} --dport 80 -t 3000 --src-nat 203.0.113.10:{port + 1000}"
        state = ["--state", "ESTABLISHED"] if protocol == "tcp" else []
        words = ["conntrack", "-I", "-p", protocol, *ends.split(), *state, "-u", "SEEN_REPLY,ASSURED"]
        run(within(self.space(n), words))

    def kernel(self, n: int) -> set[str]:
        """Source ports outside of connections of the machine."""
        found = run(within(self.space(n), ["conntrack", "-L", "-s", "10.1.1.11"]))
        return set(re.findall(r"dst=203.0.113.10 sport=80 dport=(\d+)", found))

    def heard(self, n: int) -> set[str]:
        """Source ports inside of what the others told."""
        told = self._folder / str(n) / f"{n + 1}.conf"
        return set(re.findall(r"sport=(\d+)", run(within(self.space(n), ["conntrackd", "-C", str(told), "-e"]))))


@pytest.mark.parametrize("number", [2, 3])
def test_gateways_keep_each_others_connections(number, request):
    with tempfile.TemporaryDirectory(prefix="ws") as folder:
        made = Gateways(f"s{os.getpid()}", Path(folder), number)
        request.addfinalizer(made.close)
        made.open()
        for n in range(number):
            made.does(n, "keep")
        others = range(1, number)
        made.connect(0, "tcp", 4000)
        made.connect(0, "udp", 4001)
        for n in others:
            until(lambda n=n: made.heard(n) == {"4000", "4001"})
            assert made.kernel(n) == set(), "they would age there"

        for pid in daemons(made.space(1)):
            os.kill(pid, signal.SIGKILL)
        until(lambda: daemons(made.space(1)) == [])
        made.daemons[1] = made.daemon(1)
        made.does(1, "keep")
        until(lambda: made.heard(1) == {"4000", "4001"}, "a daemon that starts is told all")

        made.does(1, "take", "tell")
        assert made.kernel(1) == {"5000", "5001"}, "with their translation"
        run(within(made.space(1), ["conntrack", "-D", "-p", "tcp", "-s", "10.1.1.11"]))
        for n in (0, *others[1:]):
            until(lambda n=n: made.heard(n) == {"4001"}, "they hear what it has, and what ends")

        made.cable(0, "down")
        made.connect(1, "udp", 4002)
        made.cable(0, "up")
        own = Path(folder) / "0"
        deafen(own, 1, True)
        for step in ("keep", "take"):
            with pytest.raises(EdgeFailure):
                made.does(0, step, splits=1)
        deafen(own, 1, False)
        made.does(0, "keep", splits=1)
        until(lambda: made.heard(0) == {"4001", "4002"}, "who was cut off is told what it missed")
        made.does(0, "take")
        assert made.kernel(0) == {"5000", "5001", "5002"}


def test_what_others_answer_is_taken_until_all_of_it_must_have_come(request):
    with tempfile.TemporaryDirectory(prefix="ws") as folder:
        made = Gateways(f"t{os.getpid()}", Path(folder), 2)
        request.addfinalizer(made.close)
        made.open()
        [states, _], rdid = made.daemons, Rdid(1)
        assert not states.is_to_take(rdid)
        made.does(0, "keep", "take")
        assert states.is_to_take(rdid), "the answers may still be on their way"
        made.lets_pass(ANSWER_SECONDS)
        assert states.is_to_take(rdid), "what came since was not taken"
        made.does(0, "take")
        assert not states.is_to_take(rdid)
        deafen(Path(folder) / "0", 1, True)
        with pytest.raises(EdgeFailure):
            made.does(0, "take")
        assert states.is_to_take(rdid)


def test_what_could_not_be_told_is_told_when_the_daemon_was_looked_at(request, monkeypatch):
    monkeypatch.setattr("weft.agent.edge.conntrackd.LEISURE_SECONDS", 0.0)
    with tempfile.TemporaryDirectory(prefix="ws") as folder:
        made = Gateways(f"u{os.getpid()}", Path(folder), 2)
        request.addfinalizer(made.close)
        made.open()
        for n in range(2):
            made.does(n, "keep")
        made.connect(0, "udp", 4000)
        until(lambda: made.heard(1) == {"4000"})
        made.forgets(1)
        assert made.heard(1) == set()
        deafen(Path(folder) / "0", 1, True)
        made.does(0, "later")
        deafen(Path(folder) / "0", 1, False)
        made.does(0, "keep")
        assert made.heard(1) == set(), "before it has taken what others told it does not empty its own caches"
        made.lets_pass(ANSWER_SECONDS)
        made.does(0, "take", "keep")
        until(lambda: made.heard(1) == {"4000"})
        assert made.is_kept(0)
