"""Guests of which the lab's file says `dhcp: true`: real clients end up with exactly what the ledger granted."""

import ipaddress
import json

import pytest

from tests.e2e.labs import EXAMPLES, ping
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "dhcp-guests.yaml")
ROUTER = "fe80::57:45ff:fe46:5401"


@pytest.fixture
def lab(shared):
    return shared


def granted(lab, machine):
    """Address by family, as the ledger has them."""
    interface = json.loads(lab.weft("get", "networkInterfaces", f"{machine}-eth0", "-o", "json"))["properties"]
    found = [one["properties"]["privateIPAddress"] for one in interface["ipConfigurations"]]
    return {ipaddress.ip_address(one).version: one for one in found}


def inside(lab, machine, *words):
    return json.loads(lab.run("exec", machine, "--", "ip", "-j", *words))


def has(lab, machine):
    """(Address, prefix length) of each that it has, but for link-local ones; its MTU."""
    (link,) = inside(lab, machine, "addr", "show", "dev", "eth0")
    addresses = {(one["local"], one["prefixlen"]) for one in link["addr_info"] if one["scope"] != "link"}
    return addresses, link["mtu"]


def until_it_has(lab, machine, wanted):
    until(lambda: has(lab, machine) == wanted, lambda: has(lab, machine), 40)


def routes(lab, machine, family):
    found = inside(lab, machine, family, "route", "show", "dev", "eth0")
    return {(one["dst"], one.get("gateway", "")) for one in found if not one["dst"].startswith("fe80")}


def told(lab, machine, what):
    place = lab.folder / lab.name
    number = json.loads((place / "guests" / f"{machine}.json").read_text())["number"]
    return (place / "dhcp" / str(number) / f"eth0.{what}").read_text()


@pytest.mark.parametrize(("machine", "length6"), [("web", 128), ("db", 64)], ids=["by DHCPv6", "by SLAAC"])
def test_a_guest_has_what_the_ledger_granted_and_asks_again_when_it_starts_anew(lab, machine, length6):
    own = granted(lab, machine)
    wanted = {(own[4], 23), (own[6], length6)}, 1450
    until_it_has(lab, machine, wanted)
    assert routes(lab, machine, "-4") == {("default", "10.2.0.1"), ("10.2.0.0/23", "")}
    assert routes(lab, machine, "-6") - {(own[6], "")} == {("default", ROUTER), ("fd00:2::/64", "")}
    dns = {"web": "10.2.0.53", "db": "10.2.0.54"}[machine]
    assert told(lab, machine, "resolv.conf") == f"nameserver {dns}\n", "its own, or else the network's"
    if machine == "web":
        assert told(lab, machine, "resolv6.conf") == "nameserver fd00:2::53\n"
    other = {"web": "db", "db": "web"}[machine]
    for address in granted(lab, other).values():
        assert ping(lab, machine, address) == "20 sent, 20 received"
    lab.weft("vm", "stop", machine)
    lab.weft("vm", "start", machine)
    until_it_has(lab, machine, wanted)
