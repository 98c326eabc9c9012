"""What agents answer guests of a lab, asked by real clients: busybox's udhcpc, and Linux's own IPv6 and TCP."""

import json
import sys

import pytest

from tests.e2e.labs import EXAMPLES
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "three-hosts.yaml")
"""One network over VXLAN, both families: client on host1, server on host2."""

ROUTER = "fe80::57:45ff:fe46:5401"
COUNT = """
import socket, sys
listening = socket.create_server(("::", 5001), family=socket.AF_INET6, dualstack_ipv6=True)
for _ in range(2):
    connection, _ = listening.accept()
    got = 0
    while part := connection.recv(65536):
        got += len(part)
    print(got, flush=True)
"""
SEND = """
import socket, sys
for address in sys.argv[1:]:
    with socket.create_connection((address, 5001), timeout=10) as connection:
        connection.sendall(bytes(1_000_000))
"""


def inside(lab, *words, code=0):
    return lab.run("exec", "client", "--", *words, code=code)


def test_a_guest_gets_its_address_by_dhcp(shared, tmp_path):
    script = tmp_path / "told"
    script.write_text("#!/bin/sh\nenv\n")
    script.chmod(0o755)
    said = inside(shared, "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-O", "mtu", "-s", str(script))
    told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    expected = {"ip": "10.2.0.10", "mask": "24", "router": "10.2.0.1", "serverid": "10.2.0.1"}
    assert {name: told.get(name) for name in expected} == expected
    assert (told["mtu"], told["lease"]) == ("1450", "1800")


def test_an_ipv6_guest_learns_its_router_by_itself(shared):
    routes = ("ip", "-6", "-j", "route", "show", "default", "proto", "ra")
    inside(shared, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1")
    for state in ("down", "up"):
        inside(shared, "ip", "link", "set", "eth0", state)
    try:
        until(lambda: json.loads(inside(shared, *routes)), "no router advertisement")
        (route,) = json.loads(inside(shared, *routes))
        assert route["gateway"] == ROUTER
        shown = inside(shared, "ip", "-6", "addr", "show", "dev", "eth0", "scope", "global")
        assert "inet6" not in shown, "its address is not of its MAC, so it makes itself none"
    finally:
        inside(shared, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=0")
        inside(shared, "ip", "addr", "replace", "fd00:2::10/64", "dev", "eth0", "nodad")
        for gateway in ("10.2.0.1", "fd00:2::1"):
            inside(shared, "ip", "route", "replace", "default", "via", gateway, "dev", "eth0")


def test_an_ipv6_guest_finds_a_neighbour_s_address_taken_and_asks_under_any_link_local_one(shared):
    def flags(address):
        found = json.loads(inside(shared, "ip", "-6", "-j", "addr", "show", "dev", "eth0"))
        return next((one for link in found for one in link["addr_info"] if one["local"] == address), {})

    def neighbours():
        found = json.loads(inside(shared, "ip", "-6", "-j", "neigh", "show", "dev", "eth0"))
        return {one["dst"]: one.get("lladdr") for one in found}

    eth0, detecting = ("dev", "eth0"), "net.ipv6.conf.eth0.accept_dad"
    inside(shared, "sysctl", "-qw", f"{detecting}=1")
    try:
        inside(shared, "ip", "addr", "add", "fd00:2::20/64", *eth0)
        until(lambda: flags("fd00:2::20").get("dadfailed"), "server has that address")
        inside(shared, "ip", "addr", "add", "fe80::a1b2:c3d4:e5f6:1122/64", *eth0)
        until(lambda: not flags("fe80::a1b2:c3d4:e5f6:1122").get("tentative"), "nobody has that one")
        inside(shared, "ip", "-6", "neigh", "flush", *eth0)
        # from that address: nothing else can be routed there
        shared.run(
            "exec", "client", "--", "ping", "-c", "1", "-W", "1", "-I", "fe80::a1b2:c3d4:e5f6:1122%eth0", ROUTER, code=1
        )
        assert neighbours().get(ROUTER) == "02:57:45:46:54:01"
    finally:
        inside(shared, "sysctl", "-qw", f"{detecting}=0")
        for address in ("fd00:2::20", "fe80::a1b2:c3d4:e5f6:1122"):
            inside(shared, "sh", "-c", f"ip addr del {address}/64 dev eth0 2>&-; true")
    assert " 1 received" in inside(shared, "ping", "-c", "1", f"{ROUTER}%eth0"), "under the one of its MAC"


def test_a_guest_that_raised_its_mtu_learns_what_its_network_carries(shared):
    counting = shared.begin("exec", "server", "--", sys.executable, "-c", COUNT)
    for guest in ("client", "server"):
        shared.run("exec", guest, "--", "ip", "link", "set", "eth0", "mtu", "1500")
    try:
        for address, size in (("10.2.0.20", "1472"), ("fd00:2::20", "1452")):
            inside(shared, "ping", "-c", "1", "-W", "1", "-M", "do", "-s", size, address, code=1)
            until(lambda to=address: "mtu 1450" in inside(shared, "ip", "route", "get", to), address)
            inside(shared, "ip", "-6" if ":" in address else "-4", "route", "flush", "cache")
        # TCP finds out by itself
        inside(shared, sys.executable, "-c", SEND, "10.2.0.20", "fd00:2::20")
        assert counting.communicate(timeout=20)[0].split() == ["1000000", "1000000"]
        for address in ("10.2.0.20", "fd00:2::20"):
            assert "mtu 1450" in inside(shared, "ip", "route", "get", address)
    finally:
        for guest in ("client", "server"):
            shared.run("exec", guest, "--", "ip", "link", "set", "eth0", "mtu", "1450")
