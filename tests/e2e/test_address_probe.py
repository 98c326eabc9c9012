"""Duplicate address detection and adapters on a real wire: two namespaces that have the same address, or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.labs import PATH
from tests.waiting import until

pytestmark = pytest.mark.root

ASK = """
import asyncio, json
from weft.agent.adapters import adapters
from weft.agent.address_probe import other_holder
from weft.model.values import ip_text, pack_ip

async def ask():
    own = {{pack_ip(one): {device!r} for one in {addresses!r}}}
    found = await adapters(own, lambda name: ())
    said = {{}}
    for address, adapter in sorted(found.items()):
        holder = await other_holder(address, adapter)
        said[ip_text(address)] = [adapter.name, adapter.mtu, list(adapter.uplinks), adapter.failed, holder,
                                  sorted(adapter.offloads)]
    print(json.dumps(said))

asyncio.run(ask())
"""


def command(*words):
    environment = {**os.environ, "PATH": PATH, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture
def spaces():
    names = [f"dad{os.getpid()}{end}" for end in "ab"]
    try:
        for name in names:
            command("ip", "netns", "add", name)
        one, other = names
        command("ip", "-n", one, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", other)
        for at, name in enumerate(names):
            command("ip", "-n", name, "link", "set", "eth0", "address", f"02:aa:00:00:00:0{at}", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def asked(space, device, *addresses):
    said = command("ip", "netns", "exec", space, sys.executable, "-c", ASK.format(addresses=addresses, device=device))
    return json.loads(said)


def test_who_else_answers_and_what_the_adapter_below_can_do(spaces):
    one, other = spaces
    for name in spaces:
        command("ip", "-n", name, "link", "add", "prov", "address", f"02:aa:00:00:01:0{name[-1]}", "type", "bridge")
        command("ip", "-n", name, "link", "set", "eth0", "master", "prov")
        command("ip", "-n", name, "link", "set", "prov", "mtu", "1400", "up")
    for address in ("192.168.1.10/24", "fd00::10/64", "192.168.1.11/24"):
        command(
            "ip", "-n", one, "address", "add", address, "dev", "prov", "nodad" if ":" in address else "noprefixroute"
        )
    for address in ("192.168.1.10/24", "fd00::10/64"):
        command("ip", "-n", other, "address", "add", address, "dev", "prov", *(["nodad"] if ":" in address else []))
    everything = ["rx-checksum", "tx-gre-segmentation", "tx-udp_tnl-segmentation"]
    found = asked(one, "prov", "192.168.1.10", "192.168.1.11", "fd00::10")
    there = ["prov", 1400, ["eth0"], False]
    assert found == {
        "192.168.1.10": [*there, "02-AA-00-00-01-0B", everything],
        "192.168.1.11": [*there, "", everything],
        "fd00::10": [*there, "02-AA-00-00-01-0B", everything],
    }
    assert asked(one, "no-such-nic", "192.168.1.10") == {}
    command("ip", "netns", "exec", one, "ethtool", "-K", "eth0", "tx-gre-segmentation", "off")
    command("ip", "-n", one, "address", "add", "fd00::20/64", "dev", "prov", "nodad")
    assert asked(one, "prov", "fd00::20") == {"fd00::20": [*there, "", [everything[0], everything[2]]]}


def test_what_the_kernels_own_detection_found_taken(spaces):
    one, other = spaces
    command("ip", "-n", other, "address", "add", "fd00::10/64", "dev", "eth0", "nodad")
    command("ip", "-n", one, "address", "add", "fd00::10/64", "dev", "eth0")
    until(lambda: "dadfailed" in command("ip", "-n", one, "address", "show", "dev", "eth0"))
    ((name, _, _, failed, holder, _),) = asked(one, "eth0", "fd00::10").values()
    assert (name, failed, holder) == ("eth0", True, "an unknown MAC address")


CHANGE = """
import asyncio
from weft.agent.ovs.host_side import HostSide
from weft.agent.switch import ANY, HostAddress, HostRoute
from weft.model.values import ip_text, pack_ip

ADDRESSES = [HostAddress(pack_ip(one), 24, "eth0", ours=True) for one in ("192.168.1.12", "192.168.1.13")]
SOURCE = pack_ip("192.168.1.12")
ROUTES = [HostRoute(pack_ip("10.1.0.0"), 16, "eth0", pack_ip("192.168.1.1"), SOURCE, ours=True),
          HostRoute(pack_ip("fd01::"), 32, "eth0", pack_ip("fe80::1"), ANY, ours=True)]

async def change():
    side = HostSide()
    for failures in [await side.{0} for _ in range(2)]:
        assert failures == [], failures
    addresses, routes = await side.found()
    ours = [one.address for one in addresses if one.ours] + [one.prefix for one in routes if one.ours]
    print(*map(ip_text, ours))

asyncio.run(change())
"""


def changed(space, what):
    """What the host has of ours when that has been done twice."""
    return command("ip", "netns", "exec", space, sys.executable, "-c", CHANGE.format(what)).split()


def test_addresses_and_routes_are_put_and_taken_and_a_second_time_changes_nothing(spaces):
    """The first of a prefix goes without the others; a route of somebody else's to the same prefix stays."""
    one, _ = spaces
    theirs = ("10.1.0.0/16", "via", "192.168.1.2", "dev", "eth0")
    assert changed(one, "put(ADDRESSES, ROUTES)") == ["192.168.1.12", "192.168.1.13", "10.1.0.0", "fd01::"]
    command("ip", "-n", one, "route", "add", *theirs)
    assert changed(one, "take(ROUTES, ADDRESSES[:1])") == ["192.168.1.13"]
    assert " ".join(theirs) in command("ip", "-n", one, "route")


def test_an_address_that_is_put_on_an_interface_is_known_there_to_who_knew_it_elsewhere(spaces):
    """It was another host's before, and cooled down while nobody sent to it."""
    one, other = spaces
    command("ip", "-n", other, "address", "add", "192.168.1.99/24", "dev", "eth0")
    old = ("192.168.1.12", "lladdr", "02:ee:00:00:00:01", "nud", "stale", "dev", "eth0")
    command("ip", "-n", other, "neigh", "replace", *old)
    changed(one, "put(ADDRESSES[:1], [])")
    until(lambda: "02:aa:00:00:00:00" in command("ip", "-n", other, "neigh", "show", "192.168.1.12"))
