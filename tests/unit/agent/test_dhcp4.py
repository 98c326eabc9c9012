"""DHCPv4 as the agent answers it, over the whole pipeline of a fake switch: the guest's side is scapy's."""

import ipaddress

import msgspec
import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.unit.agent.guest_bench import open_bench
from tests.unit.agent.policies import BLUE, GUESTS
from weft.model.records import PortService, SubnetOptions
from weft.model.values import ROUTER_MAC, mac_colons, pack_ip
from weft.wire.messages import REFUSED

BLUE1 = GUESTS["blue1"]
MAC = mac_colons(BLUE1.mac)
GATEWAY = "10.1.1.1"


async def ask(bench, kind, *options, **fields):
    """The one answer to a message, as (its Ethernet frame, its options by name); None if there is none."""
    found = await bench.send(message(kind, *options, **fields))
    return (found[0], told(found[0])) if found else None


def told(answer):
    return {
        one[0]: one[1] if len(one) == 2 else list(one[1:]) for one in answer[DHCP].options if isinstance(one, tuple)
    }


def message(
    kind,
    *options,
    source="0.0.0.0",
    target="255.255.255.255",
    mac=BLUE1.mac,
    ciaddr="0.0.0.0",
    flags=0,
    giaddr="0.0.0.0",
):
    head = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src=source, dst=target) / UDP(sport=68, dport=67)
    bootp = BOOTP(op=1, xid=77, chaddr=mac.to_bytes(6), ciaddr=ciaddr, flags=flags, giaddr=giaddr)
    return head / bootp / DHCP(options=[("message-type", kind), *options, "end"])


@pytest.fixture
async def bench():
    async with open_bench() as made:
        yield made


async def test_a_guest_is_offered_its_own_address_with_all_that_goes_with_it(bench):
    answer, options = await ask(bench, "discover")
    assert (answer.src, answer.dst) == (mac_colons(ROUTER_MAC), MAC)
    assert (answer[IP].src, answer[IP].dst, answer[UDP].sport, answer[UDP].dport) == (GATEWAY, BLUE1.v4, 67, 68)
    assert (answer[BOOTP].op, answer[BOOTP].xid, answer[BOOTP].yiaddr) == (2, 77, BLUE1.v4)
    assert answer[BOOTP].chaddr[:6] == BLUE1.mac.to_bytes(6)
    assert options == {
        "message-type": 2,
        "server_id": GATEWAY,
        "lease_time": 1800,
        "renewal_time": 900,
        "rebinding_time": 1575,
        "subnet_mask": "255.255.255.0",
        "router": GATEWAY,
        "interface-mtu": 1458,
    }


async def test_a_guest_that_cannot_take_unicast_yet_is_told_by_broadcast(bench):
    answer, _ = await ask(bench, "discover", flags=0x8000)
    assert (answer.dst, answer[IP].dst, answer[BOOTP].flags) == ("ff:ff:ff:ff:ff:ff", "255.255.255.255", 0x8000)


async def test_what_the_network_and_the_interface_say_is_told(bench):
    servers = (pack_ip("10.9.9.1"), pack_ip("fd00:9::1"), pack_ip("10.9.9.2"))
    network = SubnetOptions(BLUE1.vsid, pack_ip("10.1.1.0"), servers, 600)
    await bench.tell(BLUE, network)
    _, options = await ask(bench, "discover")
    assert options["name_server"] == ["10.9.9.1", "10.9.9.2"]
    assert (options["lease_time"], options["renewal_time"]) == (600, 300)
    own = PortService(BLUE1.instance, (pack_ip("10.8.8.8"),), "web-1")
    await bench.tell(0, own)
    _, options = await ask(bench, "discover")
    assert (options["name_server"], options["hostname"]) == ("10.8.8.8", b"web-1")


@pytest.mark.parametrize(("kind", "wanted"), [("discover", None), ("request", BLUE1.v4), ("request", "10.1.1.12")])
async def test_whoever_says_who_it_is_hears_it_again(bench, kind, wanted):
    asked = [("requested_addr", wanted)] if wanted else []
    _, options = await ask(bench, kind, *asked, ("client_id", b"\x01mine"))
    assert options["client_id"] == b"\x01mine"


async def test_of_two_addresses_the_primary_one_is_given(bench):
    other = pack_ip("10.1.1.99")
    binding = BLUE1.binding()
    two = msgspec.structs.replace(binding, addresses=(*binding.addresses, other))
    await bench.tell(0, two)
    assert (await ask(bench, "discover"))[0][BOOTP].yiaddr == BLUE1.v4
    own = PortService(BLUE1.instance, primary=(other,))
    await bench.tell(0, own)
    assert (await ask(bench, "discover"))[0][BOOTP].yiaddr == "10.1.1.99"


SELECTING = {"server_id": GATEWAY, "requested_addr": BLUE1.v4}
RENEWING = {"source": BLUE1.v4, "target": GATEWAY, "ciaddr": BLUE1.v4}
ASKED = {
    "the offered one": (SELECTING, {}, "ack"),
    "another one": (SELECTING | {"requested_addr": "10.1.1.12"}, {}, "nak"),
    "of another server": (SELECTING | {"server_id": "10.1.1.12"}, {}, None),
    "after a boot": ({"requested_addr": BLUE1.v4}, {}, "ack"),
    "after a boot in another subnet": ({"requested_addr": "192.168.7.7"}, {}, "nak"),
    "to renew": ({}, RENEWING, "ack"),
    "to rebind": ({}, RENEWING | {"target": "255.255.255.255"}, "ack"),
    "to renew one that it had before": ({}, RENEWING | {"ciaddr": "10.1.1.77"}, "nak"),
    "for another's MAC": (SELECTING, {"mac": GUESTS["blue2"].mac}, None),
    "by a relay": (SELECTING, {"giaddr": "10.1.1.77"}, None),
}


@pytest.mark.parametrize("name", ASKED)
async def test_a_request_for_an_address(bench, name):
    options, fields, expected = ASKED[name]
    found = await ask(bench, "request", *options.items(), **fields)
    if expected is None:
        assert found is None
        return
    answer, said = found
    assert said["message-type"] == {"ack": 5, "nak": 6}[expected]
    assert answer[BOOTP].yiaddr == (BLUE1.v4 if expected == "ack" else "0.0.0.0")
    assert ("lease_time" in said, "router" in said) == (expected == "ack", expected == "ack")


async def test_a_guest_with_an_address_of_its_own_is_informed_without_a_lease(bench):
    answer, options = await ask(bench, "inform", **RENEWING)
    assert (answer[BOOTP].yiaddr, answer[IP].dst, options["message-type"]) == ("0.0.0.0", BLUE1.v4, 5)
    assert "lease_time" not in options and options["router"] == GATEWAY


async def test_a_declined_address_is_told_and_a_released_one_stays_granted(bench):
    assert await ask(bench, "release", ("server_id", GATEWAY), **RENEWING) is None
    assert not any("another machine" in one.message for one in bench.plane.telling("").problems)
    assert await ask(bench, "decline", *SELECTING.items()) is None
    (problem,) = [one for one in bench.plane.telling("").problems if "another machine" in one.message]
    assert (problem.instance_id, BLUE1.v4 in problem.message) == (BLUE1.instance, True)
    assert (await ask(bench, "discover"))[0][BOOTP].yiaddr == BLUE1.v4


async def test_nothing_of_dhcp_goes_between_guests(bench):
    for ports in ((67, 68), (4000, 68)):
        offer = message("offer") / b""
        offer[UDP].sport, offer[UDP].dport, offer[IP].src, offer[IP].dst = (*ports, BLUE1.v4, GUESTS["blue2"].v4)
        offer[Ether].dst = mac_colons(GUESTS["blue2"].mac)
        assert await bench.send(offer) == []
    dump = await bench.switch.dump()
    assert dump.drops == {"dhcp_guarded": 2}


@pytest.mark.parametrize("length", range(0, 260, 7))
async def test_a_message_cut_off_anywhere_stops_nothing(bench, length):
    whole = bytes(message("discover")[BOOTP])
    cut = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst=str(ipaddress.ip_address("255.255.255.255")))
    await bench.send(cut / UDP(sport=68, dport=67) / whole[:length])
    assert REFUSED not in bench.plane.telling("").counts
    assert await ask(bench, "discover")
