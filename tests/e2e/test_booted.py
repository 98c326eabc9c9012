"""A machine that boots, under libvirt and QEMU, moves: stories 2.1, 2.3 and 4.2 as a user meets them.

host1's machines are namespaces, host2 and host3 have libvirtd, on two provider subnets.
"""

import json

import pytest

from tests.e2e.booted import answers, booting, console, downtime_s, virsh
from tests.e2e.counted import counting, held
from tests.e2e.labs import EXAMPLES, Pinging, mac_of, ping
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
SLACK_S = 0.5
"""What lies in the guest's queues when it is held, it may not have answered; generous, for a busy machine."""


def drops(lab):
    """Of all hosts, by host and reason."""
    said = {host: json.loads(lab.weft("host", "state", host, "-o", "json"))["drops"] for host in HOSTS}
    return {(host, reason): count for host, found in said.items() for reason, count in found.items()}


def unanswered(sent, source, destination, peer):
    """By number, when those were at its port that it did not answer. Everything else of `sent` went the whole way."""
    given, answered = destination.requests | source.requests, source.replies | destination.replies
    assert sorted(sent - given.keys()) == [], "all that host1 was given reached its port, on one host or the other"
    assert sorted(sent & answered.keys() - peer.replies.keys()) == [], "all that it answered came back"
    return {number: given[number] for number in sorted(sent - answered.keys())}


def test_4_2_a_booted_machine_moves_live_to_another_subnet_and_2_1_keeps_its_address_over_a_restart(shared, tmp_path):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    mac = mac_of(lab, "web1-eth0")
    assert console(lab, "host2", "web1").mac == mac
    before = drops(lab)
    with counting(lab, tmp_path, HOSTS, "10.1.1.21") as seen, held(lab, tmp_path, "web1", "host2", "host3") as pause:
        pinging = Pinging(lab, "peer", "10.1.1.21")
        lab.weft("vm", "migrate", "web1", "--to", "host3")
        silence, own = pinging.end(), downtime_s(lab, "host3", "web1")
        stopped, resumed = pause()
        peer, source, destination = seen()
    print(f"{silence.lost} of {silence.sent} pings lost, silent for {silence.longest_s:.2f} s; QEMU's own: {own:.3f} s")
    # QEMU holds the machine for `own`; what is above it is ours, and the scheduler's on a busy machine
    assert silence.longest_s < own + 1.0 and silence.lost * 0.01 < own + 1.0
    # no packet that reached a host is lost: what it did not answer was given to it, while QEMU held it
    sent = {number for number in peer.requests if number <= silence.sent}
    late = {n: round(at - stopped, 3) for n, at in unanswered(sent, source, destination, peer).items()}
    print(
        f"{len(sent)} reached host1, {len(source.requests)} its port on host2, {len(destination.requests)} on host3; "
        f"held for {resumed - stopped:.3f} s, and not answered, after so long of it: {late}"
    )
    assert len(sent) == silence.sent and min(len(source.requests), len(destination.requests)) > 50
    assert [n for n, after in late.items() if not -SLACK_S < after < resumed - stopped + SLACK_S] == []
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
