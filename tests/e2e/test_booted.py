"""A machine that boots, under libvirt and QEMU, moves: stories 2.1, 2.3 and 4.2 as a user meets them.

host1's machines are namespaces, host2 and host3 have libvirtd, on two provider subnets.
"""

import json

import pytest

from tests.e2e.booted import answers, booting, console, virsh
from tests.e2e.counted_move import assert_no_packet_lost, move
from tests.e2e.labs import EXAMPLES, mac_of, ping
from weft.lab import libvirtd

FILE = str(EXAMPLES / "booted-guests.yaml")
pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(libvirtd.missing()), reason=libvirtd.missing() or "-"),
]

HOSTS = ("host1", "host2", "host3")
ANNOUNCING = {"ethertype", "own_address", "spoofed_nd", "router_solicitation", "multicast_report"}
"""Why that is dropped by which QEMU and the guest's kernel say that it has moved, RARP and such: never a ping."""


def drops(lab):
    """Of all hosts, by host and reason."""
    said = {host: json.loads(lab.weft("host", "state", host, "-o", "json"))["drops"] for host in HOSTS}
    return {(host, reason): count for host, found in said.items() for reason, count in found.items()}


def test_4_2_a_booted_machine_moves_live_to_another_subnet_and_2_1_keeps_its_address_over_a_restart(shared, tmp_path):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    mac = mac_of(lab, "web1-eth0")
    assert console(lab, "host2", "web1").mac == mac
    assert "'web1' is booted by the libvirtd of host2" in lab.run("ping", "web1", "10.1.1.11", code=1)
    before = drops(lab)
    # host1 goes on sending to host2 after the machine has left, and host2 hears late of it too
    assert_no_packet_lost(move(lab, tmp_path / "late", "host2", "host3", late_s=0.5))
    assert {reason for (host, reason), count in drops(lab).items() if count != before.get((host, reason))} <= ANNOUNCING
    said = console(lab, "host3", "web1")
    assert said.mac == mac and said.seconds > 3, "it was not restarted"
    assert ping(lab, "peer", "10.1.1.21") == "20 sent, 20 received"
    assert virsh(lab, "host2", "list", "--all", "--name") == ""
    # 2.1: the pool of the new host has no say in its address
    lab.weft("vm", "stop", "web1")
    lab.weft("vm", "start", "web1")
    answers(lab, "peer", "10.1.1.21")
    assert console(lab, "host3", "web1").mac == mac == mac_of(lab, "web1-eth0")
    # 2.3: nor is it given again where it came from
    lab.weft("vm", "create", "web2", "--server", "host2", "--network", "blue/web", *booting("10.1.1.22"))
    answers(lab, "peer", "10.1.1.22")
    assert console(lab, "host2", "web2").mac == mac_of(lab, "web2-eth0") != mac
    assert "no conflicts" in lab.weft("conflicts").lower() or mac not in lab.weft("conflicts")
    lab.weft("vm", "delete", "web2", "-y")
    assert virsh(lab, "host2", "list", "--all", "--name") == ""
