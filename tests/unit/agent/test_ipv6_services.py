"""What the agent tells IPv6 guests: router advertisements and DHCPv6, over the whole pipeline of a fake switch."""

import pytest
from scapy.layers import dhcp6 as d
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from tests.unit.agent.guest_bench import open_bench
from tests.unit.agent.policies import BLUE, GUESTS
from weft.agent.answers.router_advertisements import EVERY_SECONDS
from weft.model.records import PortService, SubnetOptions
from weft.model.values import ROUTER_MAC, mac_colons, pack_ip
from weft.wire.messages import REFUSED

BLUE1 = GUESTS["blue1"]
MAC, ROUTER = mac_colons(BLUE1.mac), mac_colons(ROUTER_MAC)
LOCAL, ROUTER_LOCAL = "fe80::21d:d8ff:feb7:1c01", "fe80::57:45ff:fe46:5401"
EUI64 = "fd00:1::21d:d8ff:feb7:1c01"
PREFIX = pack_ip("fd00:1::")
SERVERS = (pack_ip("10.9.9.1"), pack_ip("fd00:9::1"), pack_ip("fd00:9::2"))


@pytest.fixture
async def bench():
    async with open_bench() as made:
        yield made


def solicitation(source=LOCAL, hops=255):
    head = Ether(src=MAC, dst="33:33:00:00:00:02") / IPv6(src=source, dst="ff02::2", hlim=hops)
    return head / ICMPv6ND_RS()


async def test_a_guest_hears_of_its_router_and_that_its_address_comes_by_dhcp(bench):
    (got,) = await bench.send(solicitation())
    assert (got.src, got.dst, got[IPv6].src, got[IPv6].dst, got[IPv6].hlim) == (ROUTER, MAC, ROUTER_LOCAL, LOCAL, 255)
    told = got[ICMPv6ND_RA]
    assert (told.M, told.O, told.chlim, told.routerlifetime) == (1, 1, 64, 9000)
    prefix = got[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("fd00:1::", 64, 1, 0)
    assert (prefix.validlifetime, prefix.preferredlifetime) == (9000, 9000)
    assert (got[ICMPv6NDOptMTU].mtu, got[ICMPv6NDOptSrcLLAddr].lladdr) == (1458, ROUTER)
    assert not got.haslayer(ICMPv6NDOptRDNSS)


async def test_a_guest_without_any_address_is_answered_to_all_nodes_of_its_port(bench):
    (got,) = await bench.send(solicitation("::"))
    assert (got.dst, got[IPv6].dst) == ("33:33:00:00:00:01", "ff02::1")


async def test_a_guest_makes_itself_the_address_that_it_was_granted_and_no_other(bench):
    binding = BLUE1.binding()
    await bench.tell(0, type(binding)(*binding_of(binding, EUI64)))
    (got,) = await bench.send(solicitation())
    assert (got[ICMPv6ND_RA].M, got[ICMPv6ND_RA].O, got[ICMPv6NDOptPrefixInfo].A) == (1, 1, 1)


def binding_of(binding, address):
    fields = {name: getattr(binding, name) for name in binding.__struct_fields__}
    return (fields | {"addresses": (binding.addresses[0], pack_ip(address))}).values()


async def test_dns_servers_of_the_family_are_told(bench):
    await bench.tell(BLUE, SubnetOptions(BLUE1.vsid, PREFIX, SERVERS, 600))
    (got,) = await bench.send(solicitation())
    assert got[ICMPv6NDOptRDNSS].dns == ["fd00:9::1", "fd00:9::2"]


async def test_an_interface_s_own_servers_stand_for_those_of_their_family_alone(bench):
    await bench.tell(BLUE, SubnetOptions(BLUE1.vsid, PREFIX, SERVERS, 600))
    await bench.tell(0, PortService(BLUE1.instance, (pack_ip("10.77.0.1"),), "", ()))
    (got,) = await bench.send(solicitation())
    assert got[ICMPv6NDOptRDNSS].dns == ["fd00:9::1", "fd00:9::2"]


async def test_what_was_routed_here_is_no_solicitation(bench):
    assert await bench.send(solicitation(hops=64)) == []


async def test_the_routers_link_local_address_is_answered(bench):
    ask = Ether(src=MAC, dst=ROUTER) / IPv6(src=LOCAL, dst=ROUTER_LOCAL, hlim=255) / ICMPv6ND_NS(tgt=ROUTER_LOCAL)
    (got,) = bench.switch.inject("tap1", _packet(ask / ICMPv6NDOptSrcLLAddr(lladdr=MAC)))
    assert (got.packet.icmp_type, got.packet.nd_address, got.packet.nd_reserved >> 29) == (136, ROUTER_MAC, 0b111)
    assert ICMPv6ND_NA().type == 136


def _packet(sent):
    from weft.fakes.frames import packet

    return packet(bytes(sent))


async def test_guests_are_told_again_before_it_ends(bench, monkeypatch):
    bench.switch.announced.clear()
    await bench.plane.act(True)
    assert not bench.switch.announced
    bench.plane._packets._advertise_at -= EVERY_SECONDS
    await bench.plane.act(True)
    (got,) = bench.switch.announced
    assert (got.port, got.packet.icmp_type, got.packet.ip_dst >> 112) == ("tap1", 134, 0xFF02)
    bench.switch.announced.clear()
    await bench.plane.act(True)
    assert not bench.switch.announced


CLIENT = d.DHCP6OptClientId(duid=d.DUID_LL(lladdr=MAC))
SERVER = d.DHCP6OptServerId(duid=d.DUID_LL(lladdr=ROUTER))
OTHER_SERVER = d.DHCP6OptServerId(duid=d.DUID_LL(lladdr=MAC))


def association(*addresses, iaid=5):
    return d.DHCP6OptIA_NA(iaid=iaid, ianaopts=[d.DHCP6OptIAAddress(addr=one) for one in addresses])


def message(kind, *options):
    whole = Ether(src=MAC, dst="33:33:00:01:00:02") / IPv6(src=LOCAL, dst="ff02::1:2") / UDP(sport=546, dport=547)
    whole = whole / kind(trid=77)
    for one in options:
        whole = whole / one
    return whole


async def ask(bench, kind, *options):
    found = await bench.send(message(kind, *options))
    return found[0] if found else None


def addresses(answer):
    """Of all associations: (address, lifetime)."""
    found = []
    layer = answer.getlayer(d.DHCP6OptIA_NA)
    while layer is not None:
        found += [(one.addr, one.validlft) for one in layer.ianaopts if isinstance(one, d.DHCP6OptIAAddress)]
        layer = layer.payload.getlayer(d.DHCP6OptIA_NA)
    return found


async def test_a_guest_is_advertised_and_given_its_address(bench):
    await bench.tell(BLUE, SubnetOptions(BLUE1.vsid, PREFIX, SERVERS, 1800))
    got = await ask(bench, d.DHCP6_Solicit, CLIENT, association())
    assert (got.src, got.dst, got[IPv6].src, got[IPv6].dst) == (ROUTER, MAC, ROUTER_LOCAL, LOCAL)
    assert (got[UDP].sport, got[UDP].dport, got[d.DHCP6_Advertise].trid) == (547, 546, 77)
    assert got[d.DHCP6OptServerId].duid == SERVER.duid
    assert addresses(got) == [(BLUE1.v6, 1800)]
    assert (got[d.DHCP6OptIA_NA].iaid, got[d.DHCP6OptIA_NA].T1, got[d.DHCP6OptIA_NA].T2) == (5, 900, 1440)
    assert got[d.DHCP6OptDNSServers].dnsservers == ["fd00:9::1", "fd00:9::2"]
    got = await ask(bench, d.DHCP6_Request, CLIENT, SERVER, association(BLUE1.v6))
    assert got.haslayer(d.DHCP6_Reply) and addresses(got) == [(BLUE1.v6, 1800)]


async def test_rapid_commit_takes_one_question(bench):
    got = await ask(bench, d.DHCP6_Solicit, CLIENT, d.DHCP6OptRapidCommit(), association())
    assert got.haslayer(d.DHCP6_Reply) and got.haslayer(d.DHCP6OptRapidCommit) and addresses(got)


@pytest.mark.parametrize("kind", [d.DHCP6_Renew, d.DHCP6_Rebind])
async def test_an_address_that_is_not_the_guests_any_more_ends(bench, kind):
    server = (SERVER,) if kind is d.DHCP6_Renew else ()
    got = await ask(bench, kind, CLIENT, *server, association("fd00:1::77"))
    assert addresses(got) == [(BLUE1.v6, 1800), ("fd00:1::77", 0)]


async def test_a_second_association_gets_nothing(bench):
    got = await ask(bench, d.DHCP6_Solicit, CLIENT, association(), association(iaid=6))
    assert addresses(got) == [(BLUE1.v6, 1800)]
    assert got[d.DHCP6OptStatusCode].statuscode == 2


@pytest.mark.parametrize(("address", "status"), [(BLUE1.v6, 0), ("fd00:7::7", 4)])
async def test_a_guest_that_comes_back_has_its_address_confirmed(bench, address, status):
    got = await ask(bench, d.DHCP6_Confirm, CLIENT, association(address))
    assert got[d.DHCP6OptStatusCode].statuscode == status


async def test_a_guest_that_has_an_address_is_informed(bench):
    own = PortService(BLUE1.instance, (pack_ip("fd00:8::8"),))
    await bench.tell(0, own)
    got = await ask(bench, d.DHCP6_InfoRequest, CLIENT)
    assert (got[d.DHCP6OptDNSServers].dnsservers, addresses(got)) == (["fd00:8::8"], [])


async def test_a_declined_address_is_told_and_a_released_one_stays_granted(bench):
    def told():
        return [one for one in bench.plane.telling("").problems if BLUE1.v6 in one.message]

    assert (await ask(bench, d.DHCP6_Release, CLIENT, SERVER, association(BLUE1.v6))).haslayer(d.DHCP6_Reply)
    assert told() == []
    assert (await ask(bench, d.DHCP6_Decline, CLIENT, SERVER, association(BLUE1.v6))).haslayer(d.DHCP6_Reply)
    assert [one.instance_id for one in told()] == [BLUE1.instance]


SILENT = {
    "request of another server": (d.DHCP6_Request, (CLIENT, OTHER_SERVER, association())),
    "request of no server": (d.DHCP6_Request, (CLIENT, association())),
    "solicit of one server": (d.DHCP6_Solicit, (CLIENT, SERVER, association())),
    "solicit of nobody": (d.DHCP6_Solicit, (association(),)),
    "confirm of nothing": (d.DHCP6_Confirm, (CLIENT, association())),
    "a server's": (d.DHCP6_Reply, (CLIENT, SERVER)),
}


@pytest.mark.parametrize("name", SILENT)
async def test_what_is_not_answered(bench, name):
    kind, options = SILENT[name]
    assert await ask(bench, kind, *options) is None


@pytest.mark.parametrize("length", range(0, 70, 3))
async def test_a_message_cut_off_anywhere_stops_nothing(bench, length):
    whole = message(d.DHCP6_Request, CLIENT, SERVER, association(BLUE1.v6))
    cut = Ether(src=MAC, dst="33:33:00:01:00:02") / IPv6(src=LOCAL, dst="ff02::1:2") / UDP(sport=546, dport=547)
    await bench.send(cut / bytes(whole[UDP].payload)[:length])
    assert REFUSED not in bench.plane.telling("").counts
    assert await ask(bench, d.DHCP6_Solicit, CLIENT, association())
