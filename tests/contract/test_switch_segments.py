"""Ports on VLANs of the physical network, and on none, on the fake switch and on a real Open vSwitch."""

import msgspec
import pytest

from tests.contract.pipeline import counted, drops, settle
from tests.contract.switch_worlds import opened, seen, switch_world
from tests.unit.agent.policies import Guest, access_list, subnet_records, told
from weft.agent.announcements import Arrivals, packet_of
from weft.fakes import packet as p
from weft.fakes.frames import packet
from weft.model.records import PortAccess, PortBinding, PortLimits, SegmentPort
from weft.model.values import ROUTER_MAC, InstanceId, Mac, PackedIp, Rdid, Vsid, pack_ip, vlan_segment

BLUE1 = Guest("blue1", "host1", Rdid(60), Vsid(6001), Mac(0x001DD8B71C01), "10.1.1.11", "fd00:1::11")


class Port(msgspec.Struct, frozen=True):
    name: str
    vlan: int
    mac: Mac
    addresses: tuple[str, ...] = ()
    """None: those that the guest likes."""

    @property
    def instance(self) -> InstanceId:
        return InstanceId(f"0000{self.vlan:04x}-0000-0000-0000-{self.mac:012x}")

    def records(self, leaving=False):
        packed = tuple(pack_ip(one) for one in self.addresses)
        where = vlan_segment(self.vlan)
        subnets = tuple(one for one in subnet_records(where, "10.1.1.0/24")[:1])
        ref = f"/logicalNetworks/lan/subnets/v{self.vlan}"
        yield PortBinding(self.instance, self.name, Rdid(0), where, self.mac, packed, PackedIp(b""))
        yield SegmentPort(self.instance, ref, self.vlan, subnets, not packed, leaving)


# the addresses are blue1's: whatever a VLAN has is none of a tenant's
SHOP1 = Port("shop1", 20, Mac(0x001DD8B72001), ("10.1.1.11", "fd00:1::11"))
SHOP2 = Port("shop2", 20, Mac(0x001DD8B72002), ("10.1.1.12",))
DESK1 = Port("desk1", 30, Mac(0x001DD8B72002), ("10.1.1.12",))
FREE1 = Port("free1", 0, Mac(0x001DD8B70001))
PORTS = (SHOP1, SHOP2, DESK1, FREE1)
OUT20, OUT30, OUT0 = ("out20", 20), ("out30", 30), ("out0", 0)
STATION = Mac(0x00AABBCCDD01)


PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=PARAMS)
async def world(request):
    async with switch_world(request.param) as made:
        for one in (BLUE1, *PORTS):
            await made.plug("host1", one.name, one.instance, one.mac)
        for name, vlan in (OUT20, OUT30, OUT0):
            await made.plug_outside("host1", name, vlan)
        for one in (BLUE1, *PORTS):
            await seen(made, "host1", opened(one.name))
        made.reconciler = told("host1")
        for record in (record for one in PORTS for record in one.records()):
            made.reconciler.put(0, record.key, record)
        await settle(made, {"host1": made.reconciler})
        yield made


async def reaches(world, port, sent):
    """Names of those that get exactly this packet; anything else that arrives anywhere fails the test."""
    known = {int(one.mac) for one in (BLUE1, *PORTS)} | {int(STATION)}
    # the host's own address is on the physical network too, and asks for its neighbours
    found = {one for one in await world.send("host1", port, sent) if one[2].eth_src in known}
    assert {one for _, _, one in found} <= {msgspec.structs.replace(sent, size=0, vlan_tci=0)}, found
    return sorted(name for _, name, _ in found)


async def test_a_vlan_reaches_its_own_ports_and_the_physical_network(world):
    assert not world.reconciler.problems()
    unicast = p.echo((SHOP1.mac, SHOP2.mac), ("10.1.1.11", "10.1.1.12"), "x")
    assert await reaches(world, "shop1", unicast) == ["shop2"]
    out = p.echo((SHOP1.mac, STATION), ("10.1.1.11", "10.1.1.99"), "x")
    assert await reaches(world, "shop1", out) == ["out20"]
    everybody = p.arp_request(SHOP1.mac, "10.1.1.11", "10.1.1.12")
    assert await reaches(world, "shop1", everybody) == ["out20", "shop2"]
    assert await reaches(world, "shop1", p.solicitation(SHOP1.mac, "fd00:1::11", "fd00:1::9")) == ["out20", "shop2"]
    back = p.echo((STATION, SHOP1.mac), ("10.1.1.99", "10.1.1.11"), "x")
    assert await reaches(world, "out20", back) == ["shop1"]
    assert await reaches(world, "out20", p.arp_request(STATION, "10.1.1.99", "10.1.1.11")) == ["shop1", "shop2"]


async def test_vlans_virtual_networks_and_untagged_frames_do_not_meet(world):
    """desk1 and shop2 have one MAC and one address, as blue1 and shop1 have one address."""
    for_desk = p.echo((STATION, DESK1.mac), ("10.1.1.99", "10.1.1.12"), "x")
    assert await reaches(world, "out30", for_desk) == ["desk1"]
    assert await reaches(world, "out20", for_desk) == ["shop2"]
    assert await reaches(world, "out0", for_desk) == []
    for_free = p.echo((STATION, FREE1.mac), ("172.16.9.1", "172.16.9.9"), "x")
    assert await reaches(world, "out0", for_free) == ["free1"]
    assert await reaches(world, "out20", for_free) == []
    assert await reaches(world, "out0", p.arp_request(STATION, "172.16.9.1", "172.16.9.9")) == ["free1"]
    assert await reaches(world, "desk1", p.arp_request(DESK1.mac, "10.1.1.12", "10.1.1.11")) == ["out30"]
    to_blue = p.echo((SHOP1.mac, BLUE1.mac), ("10.1.1.11", "10.1.1.13"), "x")
    assert await reaches(world, "shop1", to_blue) == ["out20"], "blue1's MAC is nobody's on this VLAN"
    to_router = p.echo((SHOP1.mac, ROUTER_MAC), ("10.1.1.11", "10.1.1.12"), "x")
    assert await reaches(world, "shop1", to_router) == [], "no router of a tenant's serves a VLAN"
    from_blue = p.echo((BLUE1.mac, SHOP1.mac), ("10.1.1.11", "10.1.1.12"), "x")
    assert await reaches(world, "blue1", from_blue) == []
    assert await reaches(world, "blue1", p.udp((BLUE1.mac, p.BROADCAST), ("10.1.1.11", "10.1.1.255"), (9, 9))) == []
    assert await reaches(world, "out0", p.echo((STATION, BLUE1.mac), ("10.1.1.12", "10.1.1.11"), "x")) == []


async def test_a_guest_on_a_vlan_speaks_for_itself(world):
    macs = (SHOP1.mac, STATION)
    forged = {
        "other mac": p.echo((STATION, SHOP2.mac), ("10.1.1.11", "10.1.1.12"), "x"),
        "other address": p.echo(macs, ("10.1.1.77", "10.1.1.12"), "x"),
        "other arp": p.arp_request(SHOP1.mac, "10.1.1.77", "10.1.1.12"),
        "other hardware": msgspec.structs.replace(
            p.arp_request(SHOP1.mac, "10.1.1.11", "10.1.1.12"), arp_sha=int(STATION)
        ),
        "a tag": msgspec.structs.replace(p.echo(macs, ("10.1.1.11", "10.1.1.12"), "x"), vlan_tci=0x101E),
    }
    for name, sent in forged.items():
        assert await reaches(world, "shop1", sent) == [], name


async def test_an_unmanaged_guest_has_what_address_it_likes_but_not_a_hosts(world):
    macs = (FREE1.mac, STATION)
    assert await reaches(world, "free1", p.echo(macs, ("172.16.9.9", "172.16.9.1"), "x")) == ["out0"]
    assert await reaches(world, "free1", p.arp_request(FREE1.mac, "172.16.9.9", "172.16.9.1")) == ["out0"]
    asks = p.udp((FREE1.mac, p.BROADCAST), ("0.0.0.0", "255.255.255.255"), (68, 67), "x")
    assert await reaches(world, "free1", asks) == ["out0"], "its addresses come from outside"
    host = "192.168.1.77"
    for name, sent in {
        "address": p.echo(macs, (host, "192.168.1.10"), "x"),
        "arp": p.arp_request(FREE1.mac, host, "192.168.1.1"),
        "vxlan": p.udp(macs, ("172.16.9.9", "192.168.1.10"), (5555, 4789), "x"),
        "gre": msgspec.structs.replace(p.echo(macs, ("172.16.9.9", "192.168.1.10")), ip_proto=47, icmp_type=0),
        "mac": p.echo((STATION, SHOP1.mac), ("172.16.9.9", "172.16.9.1"), "x"),
    }.items():
        assert await reaches(world, "free1", sent) == [], name


async def test_a_guest_on_a_vlan_may_be_a_dhcp_server_where_its_port_has_no_guard(world):
    everybody = (SHOP1.mac, p.BROADCAST)
    offers = {
        "v4": (p.udp(everybody, ("10.1.1.11", "255.255.255.255"), (67, 68), "x"), ["out20", "shop2"]),
        "v4 to one": (p.udp((SHOP1.mac, SHOP2.mac), ("10.1.1.11", "10.1.1.12"), (67, 68), "x"), ["shop2"]),
        "v6": (p.udp((SHOP1.mac, STATION), ("fd00:1::11", "fe80::9"), (547, 546), "x"), ["out20"]),
    }
    for name, (sent, expected) in offers.items():
        assert await reaches(world, "shop1", sent) == expected, name
    forged = {
        "for another": p.udp(everybody, ("10.1.1.12", "255.255.255.255"), (67, 68), "x"),
        "for another v6": p.udp((SHOP1.mac, STATION), ("fd00:1::12", "fe80::9"), (547, 546), "x"),
        "no server": p.udp(everybody, ("10.1.1.11", "255.255.255.255"), (4000, 68), "x"),
    }
    for name, sent in forged.items():
        assert await reaches(world, "shop1", sent) == [], name
    free = p.udp((FREE1.mac, p.BROADCAST), ("172.16.9.9", "255.255.255.255"), (67, 68), "x")
    assert await reaches(world, "free1", free) == ["out0"]
    for guarded in (SHOP1, FREE1):
        limits = PortLimits(guarded.instance, dhcp_guard=True)
        world.reconciler.put(0, limits.key, limits)
    await settle(world, {"host1": world.reconciler})
    await world.caught_up("host1")
    before = await drops(world)
    for name, (sent, _) in offers.items():
        assert await reaches(world, "shop1", sent) == [], name
    assert await reaches(world, "free1", free) == []
    assert (await counted(world, before, expected={"dhcp_guarded": 4})).get("dhcp_guarded") == 4


async def test_access_lists_do_not_stand_between_a_dhcp_server_and_its_clients(world):
    """Nor keep any questions from it that its port's guard does not. What relays send each other they decide."""
    closed = access_list(7, inbound=False, outbound=False)
    access = PortAccess(SHOP1.instance, tuple((pack_ip(one), 7, 0) for one in SHOP1.addresses))
    to_server, groups = (STATION, SHOP1.mac), (STATION, 0x333300010002)
    asks = {
        "discover": p.udp((STATION, p.BROADCAST), ("0.0.0.0", "255.255.255.255"), (68, 67), "x"),
        "renew": p.udp(to_server, ("10.1.1.99", "10.1.1.11"), (68, 67), "x"),
        "solicit": p.udp(groups, ("fe80::9", "ff02::1:2"), (546, 547), "x"),
        "renew v6": p.udp(to_server, ("fe80::9", "fd00:1::11"), (546, 547), "x"),
    }
    others = {
        "no client": p.udp(to_server, ("10.1.1.99", "10.1.1.11"), (4000, 67), "x"),
        "no server": p.udp(to_server, ("10.1.1.99", "10.1.1.11"), (68, 53), "x"),
        "no client v6": p.udp(to_server, ("fe80::9", "fd00:1::11"), (4000, 547), "x"),
        "relay": p.udp(to_server, ("10.1.1.99", "10.1.1.11"), (67, 67), "x"),
    }
    answers = {
        "v4": p.udp((SHOP1.mac, STATION), ("10.1.1.11", "10.1.1.99"), (67, 68), "x"),
        "v6": p.udp((SHOP1.mac, STATION), ("fd00:1::11", "fe80::9"), (547, 546), "x"),
    }

    async def heard(some):
        return {name for name, sent in some.items() if "shop1" in await reaches(world, "out20", sent)}

    async def put(*records):
        for record in records:
            world.reconciler.put(0, record.key, record)
        await settle(world, {"host1": world.reconciler})
        await world.caught_up("host1")

    assert await heard(asks | others) == (asks | others).keys()
    await put(closed, access)
    assert await heard(asks | others) == asks.keys()
    for name, sent in answers.items():
        assert await reaches(world, "shop1", sent) == ["out20"], name
    await put(PortLimits(SHOP1.instance, dhcp_guard=True))
    assert await heard(asks | others) == set()


async def test_a_guest_on_a_vlan_may_ask_the_dhcp_servers_there(world):
    """Where its lease is for the address that it has: with any other its packets go nowhere."""
    everybody = (SHOP1.mac, p.BROADCAST)
    link_local = "fe80::21d:d8ff:feb7:2001"
    for name, sent, expected in (
        ("discover", p.udp(everybody, ("0.0.0.0", "255.255.255.255"), (68, 67), "x"), ["out20", "shop2"]),
        ("renew", p.udp((SHOP1.mac, STATION), ("10.1.1.11", "10.1.1.99"), (68, 67), "x"), ["out20"]),
        ("renew of another's", p.udp((SHOP1.mac, STATION), ("10.1.1.77", "10.1.1.99"), (68, 67), "x"), []),
        ("solicit", p.udp((SHOP1.mac, 0x333300010002), (link_local, "ff02::1:2"), (546, 547)), ["out20", "shop2"]),
        ("solicit of another", p.udp((SHOP1.mac, 0x333300010002), ("fe80::1", "ff02::1:2"), (546, 547)), []),
    ):
        assert await reaches(world, "shop1", sent) == expected, name
    answer = p.udp((STATION, SHOP1.mac), ("10.1.1.99", "10.1.1.11"), (67, 68), "x")
    assert await reaches(world, "out20", answer) == ["shop1"]


async def test_nor_one_of_a_provider_subnet_in_which_its_host_has_none(world):
    macs, prefixes = (FREE1.mac, STATION), ((pack_ip("fd99::"), 64), (pack_ip("192.168.9.0"), 24))
    binding, port = FREE1.records()
    sent = {
        "address": p.echo(macs, ("192.168.9.7", "192.168.9.10"), "x"),
        "ipv6 address": p.echo(macs, ("fd99::7", "fd99::10"), "x"),
        "arp": p.arp_request(FREE1.mac, "192.168.9.7", "192.168.9.1"),
    }
    for name, one in sent.items():
        assert await reaches(world, "free1", one) == ["out0"], name
    port = msgspec.structs.replace(port, provider=prefixes)
    world.reconciler.put(0, port.key, port)
    await settle(world, {"host1": world.reconciler})
    await world.caught_up("host1")
    for name, one in sent.items():
        assert await reaches(world, "free1", one) == [], name


async def test_a_machine_that_leaves_is_looked_for_outside(world):
    await world.unplug("host1", "shop2")
    await seen(world, "host1", lambda facts: not opened("shop2")(facts))
    for record in SHOP2.records(leaving=True):
        world.reconciler.put(0, record.key, record)
    await settle(world, {"host1": world.reconciler})
    sent = p.echo((SHOP1.mac, SHOP2.mac), ("10.1.1.11", "10.1.1.12"), "x")
    assert await reaches(world, "shop1", sent) == ["out20"]
    stray = p.echo((STATION, SHOP2.mac), ("10.1.1.99", "10.1.1.12"), "x")
    assert await reaches(world, "out20", stray) == []


async def test_a_machine_that_has_come_is_shown_to_the_physical_network(world):
    arrivals = Arrivals()
    locals, patch = world.reconciler.locals, world.reconciler.table.physical.patch
    without = [one for one in locals.values() if one.binding.network_interface != "shop2"]
    assert arrivals.look(without, patch) == ()
    assert arrivals.look(without, patch) == ()
    [told_it] = arrivals.look(locals.values(), patch)
    world.switches["host1"].send([packet_of(told_it)])
    shown = packet(packet_of(told_it).frame)
    found = {(name, one.eth_src, one.eth_type) for _, name, one in await world.arrived()}
    assert ("out20", int(SHOP2.mac), 0x8035) in found and shown.eth_type == 0x8035
    assert {name for name, source, _ in found if source == SHOP2.mac} == {"out20"}
    assert arrivals.look(locals.values(), patch) == ()


async def test_without_ports_on_it_the_physical_network_is_let_go(world):
    for one in PORTS:
        for record in one.records():
            world.reconciler.put(0, record.key, None)
    assert world.reconciler.plan(True).patch_remove
    await settle(world, {"host1": world.reconciler})
    facts = await seen(world, "host1", lambda facts: not any(port.patch for port in facts.ports))
    world.reconciler.switch_is(facts)
    assert not world.reconciler.plan(True).patch_remove
    assert await reaches(world, "out20", p.echo((STATION, SHOP1.mac), ("10.1.1.99", "10.1.1.11"), "x")) == []
