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
    until(lambda: has(lab, machine) == wanted, lambda: has(lab, machine))


def routes(lab, machine, family):
    found = inside(lab, machine, family, "route", "show", "dev", "eth0")
    return {(one["dst"], one.get("gateway", "")) for one in found if not one["dst"].startswith("fe80")}


def told(lab, machine, what):
    place = lab.folder / lab.name
    number = json.loads((place / "guests" / f"{machine}.json").read_text())["number"]
    file = place / "dhcp" / str(number) / f"eth0.{what}"
    return file.read_text() if file.exists() else ""


def all_told(lab, machine, own):
    """Routes, but to itself, and DNS servers."""
    ways = {"-4": routes(lab, machine, "-4"), "-6": routes(lab, machine, "-6") - {(own, "")}}
    return ways | {what: told(lab, machine, what) for what in ("resolv.conf", "resolv6.conf")}


@pytest.mark.parametrize(("machine", "length6"), [("web", 128), ("db", 64)], ids=["by DHCPv6", "by SLAAC"])
def test_a_guest_has_what_the_ledger_granted_and_asks_again_when_it_starts_anew(lab, machine, length6):
    own = granted(lab, machine)
    wanted = {(own[4], 23), (own[6], length6)}, 1450
    until_it_has(lab, machine, wanted)
    dns = {"web": "10.2.0.53", "db": "10.2.0.54"}[machine]
    rest = {
        "-4": {("default", "10.2.0.1"), ("10.2.0.0/23", "")},
        "-6": {("default", ROUTER), ("fd00:2::/64", "")},
        "resolv.conf": f"nameserver {dns}\n",  # its own, or else the network's
        "resolv6.conf": "nameserver fd00:2::53\n" if machine == "web" else "",
    }
    # what is asked of the interface comes after its address
    until(lambda: all_told(lab, machine, own[6]) == rest, lambda: all_told(lab, machine, own[6]))
    other = {"web": "db", "db": "web"}[machine]
    for address in granted(lab, other).values():
        assert ping(lab, machine, address) == "20 sent, 20 received"
    lab.weft("vm", "stop", machine)
    lab.weft("vm", "start", machine)
    until_it_has(lab, machine, wanted)
