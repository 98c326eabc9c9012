"""Every reason for which packets are dropped is counted, by the fake switch and by a real Open vSwitch.

Most reasons are shown where their flows are: in tests/contract/pipeline.py and the files that ELSEWHERE names. The rest
is here, of two hosts on which something is set up for each. One that is too large for the tunnel is counted by the
agent (test_switch_services.py).
"""

from pathlib import Path

import pytest

from tests.contract.pipeline import (
    ASK,
    BLUE1,
    BLUEDB,
    DROPPED,
    ECHO,
    MACS,
    OTHER,
    RED1,
    changed,
    counted,
    drops,
    settle,
)
from tests.contract.switch_worlds import named, opened, seen, switch_world
from tests.contract.test_switch_pipeline import GREEN, TO_GREEN, green_beside_blue
from tests.contract.test_switch_segments import SHOP1, STATION
from tests.unit.agent.policies import BLUE, RED, SCOPE
from weft.agent.flows.fields import DropReason
from weft.fakes import packet as p
from weft.model.records import NetworkSettings, PeerNetwork, PortLearning, PortLimits
from weft.model.values import ROUTER_MAC, pack_ip

ELSEWHERE = {
    "unknown_port": "test_switch_pipeline.py",
    "unknown_vsid": "test_switch_pipeline.py",
    "wrong_source": "test_switch_pipeline.py",
    "loop": "test_switch_moves.py",
    "access_denied": "test_switch_access.py",
    "tracked_invalid": "test_switch_access.py",
    "no_rewrite": "test_switch_rewrite.py",
    "too_large": "test_switch_services.py",
}
LOCAL = "fe80::21d:d8ff:feb7:1c01"
UP = (RED1.mac, ROUTER_MAC)
ASKS6 = p.udp((RED1.mac, 0x333300010002), (LOCAL, "ff02::1:2"), (546, 547))
SOLICITS = changed(p.echo((RED1.mac, 0x333300000002), (LOCAL, "ff02::2")), icmp_type=133, ttl=255)
FOR_OTHERS = changed(ASK, eth_src=OTHER, arp_sha=OTHER, arp_spa=p.number("10.1.1.99"))
BROUGHT = p.echo((BLUEDB.mac, ROUTER_MAC), ("10.1.2.200", "10.1.2.1"), "x")
OF_NO_VLAN = p.udp((STATION, p.BROADCAST), ("10.1.1.99", "10.1.1.255"), (9, 9))

HERE = {
    "dhcp": ("host1", "red1", ASKS6, "host1"),
    "router_solicitation": ("host1", "red1", SOLICITS, "host1"),
    "not_encrypted": ("host1", "red1", p.echo(MACS, (RED1.v4, "10.1.1.12"), "x"), "host1"),
    "arp_guarded": ("host1", "blue1", FOR_OTHERS, "host1"),
    "not_forwarded": ("host1", "blue1", changed(TO_GREEN, ip_src=p.number("203.0.113.9")), "host1"),
    "no_such_port": ("host1", "blue1", ECHO, "host2"),
    "unlearnt": ("host2", "bluedb", BROUGHT, "host2"),
    "wrong_vlan": ("host2", "wire", OF_NO_VLAN, "host2"),
}
"""By reason: where it is sent, which packet, and the host that drops it."""


@pytest.fixture(params=["fake", pytest.param("ovs", marks=pytest.mark.root)])
async def world(request):
    async with switch_world(request.param) as made:
        yield made


async def scene(world):
    """red1 without IPv6, in a network whose tunnels nobody encrypts; blue1 may send as others, but green takes nothing
    of that; blue2 has gone, and nobody heard; bluedb may bring addresses; host2 has a port on VLAN 20."""
    reconcilers = await green_beside_blue(world, "nvgre")
    one, two = reconcilers["host1"], reconcilers["host2"]
    await world.plug("host2", SHOP1.name, SHOP1.instance, SHOP1.mac)
    await world.plug_outside("host2", "wire", 99)
    await seen(world, "host2", opened(SHOP1.name))
    await world.unplug("host2", "blue2")
    await seen(world, "host2", lambda facts: named(facts, "blue2") is None)
    limits = PortLimits(BLUE1.instance, spoofing=True, arp_guard=True)
    learning = PortLearning(BLUEDB.instance, ((pack_ip("10.1.2.0"), 24),))
    for reconciler, record in (
        (one, changed(RED1.binding(), addresses=(pack_ip(RED1.v4),))),
        (one, limits),
        (two, learning),
        *((two, record) for record in SHOP1.records()),
    ):
        reconciler.put(0, record.key, record)
    for reconciler in reconcilers.values():
        for rdid, record in (
            (RED, NetworkSettings(RED, "nvgre", "/virtualNetworks/red", scope=SCOPE, encrypted=True)),
            (BLUE, PeerNetwork(GREEN, "")),
            (GREEN, PeerNetwork(BLUE, "")),
        ):
            reconciler.put(rdid, record.key, record)
    await settle(world, reconcilers)


def test_there_is_a_test_for_each():
    named_here = {reason for _, reason in DROPPED.values()} | HERE.keys() | ELSEWHERE.keys()
    assert named_here == {reason.name.lower() for reason in DropReason}
    texts = {name: Path(__file__).with_name(name).read_text() for name in ELSEWHERE.values()}
    assert [reason for reason, name in ELSEWHERE.items() if f'"{reason}"' not in texts[name]] == []


async def test_what_is_dropped_is_counted_under_its_reason(world):
    await scene(world)
    for reason, (host, port, sent, dropping) in HERE.items():
        before = await drops(world, dropping)
        await world.put(host, port, sent)
        found = await counted(world, before, dropping, {reason: 1})
        # the host itself speaks on the physical network too, untagged, and no port of this one hears that
        assert found.get(reason) == 1 or (reason == "wrong_vlan" and found.get(reason)), (reason, found)
        assert found.keys() <= {reason, "wrong_vlan"}, (reason, found)
        assert {name for _, name, _ in await world.arrived(0.0)} <= {"wire"}, reason
