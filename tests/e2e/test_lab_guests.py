"""Addresses that guests of a lab bring, by Linux's own stack and busybox's arping, as keepalived and its like do it."""

import json
import subprocess
import time

import pytest

from tests.e2e.labs import EXAMPLES, Pinging
from tests.waiting import until

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "three-hosts.yaml")
"""One network over VXLAN, both families: client on host1, server on host2."""
VIP, VIP6 = "10.2.0.200", "fd00:2::200"
WITHIN_S = 60.0
"""Generous: the machine may be busy. Ratios and order are what is looked at."""


@pytest.fixture
def lab(shared, tmp_path):
    """The file's lab, where guests may bring two addresses of each family; nothing is left of them."""
    parts = (EXAMPLES / "three-hosts.yaml").read_text().split("\n---\n")
    (plain,) = (part for part in parts if "virtualNetworks\n" in part)
    may = "      guestSpecifiedAddresses: {enabled: true, maximumPerInterface: 2}\n      addressPrefix: "
    for name, text in (("plain", plain), ("guests", plain.replace("      addressPrefix: ", may))):
        (tmp_path / f"{name}.yaml").write_text(text + "\n")
    shared.weft("apply", "-f", str(tmp_path / "guests.yaml"), "--wait")
    yield shared
    for guest, addresses in (("client", f"{VIP}/24"), ("server", f"{VIP}/24 {VIP6}/64 10.2.0.201/24 10.2.0.202/24")):
        drop = f"for one in {addresses}; do ip addr del $one dev eth0 2>&-; done; true"
        shared.run("exec", guest, "--", "sh", "-c", drop)
    shared.weft("apply", "-f", str(tmp_path / "plain.yaml"), "--wait")


def take(lab, guest, address):
    """Add an address and tell everybody, which Linux does not by itself."""
    lab.run("exec", guest, "--", "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    announce(lab, guest, address)


def announce(lab, guest, address):
    lab.run("exec", guest, "--", "busybox", "arping", "-U", "-q", "-c", "1", "-I", "eth0", address)


def learnt(lab, guest):
    found = json.loads(lab.weft("get", "networkInterfaces", f"{guest}-eth0", "-o", "json"))
    return [one["ipAddress"] for one in found["properties"].get("learnedIPAddresses", ())]


def answers(lab, guest, address):
    return lab.begin("ping", guest, address, "-c", "2", "-i", "0.05", stdout=subprocess.DEVNULL).wait() == 0


def test_an_address_is_learnt_moves_with_its_machine_and_goes_to_who_announces_it(lab):
    assert not answers(lab, "client", VIP)
    take(lab, "server", VIP)
    until(lambda: answers(lab, "client", VIP), "learnt by gratuitous ARP", WITHIN_S)
    assert learnt(lab, "server") == [VIP]
    assert "10.2.0.200 (learnt)" in lab.weft("get", "networkInterfaces", "server-eth0")
    assert "learnt address" in lab.weft("trace", "client-eth0", VIP)

    lab.run("exec", "server", "--", "ip", "addr", "add", f"{VIP6}/64", "dev", "eth0", "nodad")
    # it goes on sending from the address also when the guest has it no more, so its end is waited for
    sends = lab.begin("exec", "server", "--", "ping", "-q", "-c", "50", "-i", "0.1", "-I", VIP6, "fd00:2::10")
    until(lambda: answers(lab, "client", VIP6), "learnt by what is sent from it", WITHIN_S)
    sends.wait()

    pinging = Pinging(lab, "client", VIP)
    lab.weft("vm", "migrate", "server", "--to", "host3")
    assert pinging.end().missing == ()
    assert sorted(learnt(lab, "server")) == [VIP, VIP6]

    lab.run("exec", "server", "--", "ip", "addr", "del", f"{VIP}/24", "dev", "eth0")
    began = time.monotonic()
    take(lab, "client", VIP)
    until(lambda: answers(lab, "server", VIP), "taken over", WITHIN_S)
    print(f"taken over within {time.monotonic() - began:.1f} s, asking included")
    assert (learnt(lab, "client"), learnt(lab, "server")) == ([VIP], [VIP6])
    lab.weft("vm", "migrate", "server", "--to", "host2")


def test_what_a_guest_may_not_have_is_refused_and_shown(lab):
    for address in (VIP, "10.2.0.201"):
        take(lab, "server", address)
    until(lambda: sorted(learnt(lab, "server")) == [VIP, "10.2.0.201"], "both learnt", WITHIN_S)
    take(lab, "server", "10.2.0.202")
    lab.run("exec", "server", "--", "ip", "addr", "add", "10.2.0.10/32", "dev", "eth0")
    announce(lab, "server", "10.2.0.10")
    announce(lab, "server", "10.2.0.202")

    def said():
        return json.loads(lab.weft("conflicts", "-o", "json"))

    until(lambda: {one["address"] for one in said()} >= {"10.2.0.10", "10.2.0.202"}, "conflicts", WITHIN_S)
    remedies = {one["address"]: one["remedy"] for one in said()}
    assert "maximumPerInterface" in remedies["10.2.0.202"]
    assert "held by /networkInterfaces/client-eth0" in remedies["10.2.0.10"]
    assert sorted(learnt(lab, "server")) == [VIP, "10.2.0.201"]
    lab.run("exec", "server", "--", "ip", "addr", "del", "10.2.0.10/32", "dev", "eth0")
    assert answers(lab, "server", "10.2.0.10")
