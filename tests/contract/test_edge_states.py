"""The daemons by which gateways keep each other's connections, beside a real edge: by level, whoever made them."""

import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.contract.edge_worlds import edge_world
from tests.contract.test_edge import EDGE, LEG
from weft.agent.edge.conntrackd import Conntrackd
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.lab.commands import run
from weft.model.values import PackedIp, Rdid, pack_ip

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
        await fresh.remove(Rdid(7))
        assert space not in run(["ip", "netns"])


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
    states = Conntrackd(tmp_path, "conntrackd-that-is-not-here")
    with pytest.raises(EdgeFailure, match="behind nat .*apt-get install conntrackd"):
        await states.keep("nowhere", edge(ONE, TWO).network)
