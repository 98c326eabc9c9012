"""An appliance, a peered network and rates in the lab: `examples/routes.yaml` as a user meets it."""

import json
import subprocess
import time

import pytest

from tests.e2e.agreement import Traced
from tests.e2e.labs import EXAMPLES, last_line, ping

pytestmark = pytest.mark.root

OUTBOUND, INBOUND = 20, 40
"""Mbps of partner1, in the file."""
MOST, LEAST = 1.15, 0.7
"""Of that. Less comes where a busy machine does not carry what is sent, so it may try again."""


def mbps(lab, *more):
    """What is left at its end of a UDP stream of twice the rate and more, between partner1 and web1."""
    server = lab.begin("exec", "web1", "--", "iperf3", "--server", "--one-off")
    words = ("iperf3", "-c", "10.1.1.11", "-u", "-b", "90M", "-l", "1300", "-t", "3", "--json", *more)
    for _ in range(50):
        done = subprocess.run(
            lab.command("exec", "partner1", "--", *words), capture_output=True, text=True, env=lab.environment
        )
        said = json.loads(done.stdout)
        if "refused" not in said.get("error", ""):
            break
        time.sleep(0.1)
    server.wait(timeout=20)
    whole = said["end"]["sum"]
    return whole["bits_per_second"] * (1 - whole["lost_percent"] / 100) / 1e6


def gets(lab, rate, *more):
    """That much, and never more."""
    for _ in range(5):
        found = mbps(lab, *more)
        assert found < rate * MOST
        if found > rate * LEAST:
            return
    raise AssertionError(f"{found:.1f} of {rate} Mbit/s")


WEB, DB, FIREWALL, PARTNER = "10.1.1.11", "10.1.2.21", "10.1.3.9", "10.9.1.11"
OTHERS = ("10.1.1.1", "10.9.1.1", "10.9.1.77", "10.1.3.77", "203.0.113.9")
"""Gateways, addresses of nobody, one outside; none behind the firewall, of which trace knows only that it gets it."""


MACHINES = {"web1": WEB, "db1": DB, "partner1": PARTNER}


def trace_agrees(lab, *machines):
    """Of each of these with each other one, by each protocol: dozens of questions."""
    with Traced(lab) as traced:
        for machine in machines:
            targets = sorted({WEB, DB, FIREWALL, PARTNER, *OTHERS} - {MACHINES[machine]})
            kinds = (("icmp", 0), ("tcp", 22), ("udp", 53))
            told = traced.agree(machine, [(to, *kind) for to in targets for kind in kinds])
            assert {found["delivered"] for found in told} == {True, False}


def test_an_appliance_a_peer_and_rates(lab):
    lab.run("up", str(EXAMPLES / "routes.yaml"))
    assert last_line(lab.run("ping", "web1", "10.1.2.21", "-c", "2", "-i", "0.1", code=1)) == "2 sent, 0 received"
    lab.run("exec", "firewall", "--", "sysctl", "-w", "net.ipv4.ip_forward=1")
    assert "ttl=61" in lab.run("exec", "web1", "--", "ping", "-c", "2", "-i", "0.1", "10.1.2.21")
    assert "through-firewall" in lab.weft("trace", "web1-eth0", "10.1.2.21")
    # the way of one network to the other is that of two subnets: one router, and the form of the other's tunnel
    assert "ttl=63" in lab.run("exec", "web1", "--", "ping", "-c", "2", "-i", "0.1", "10.9.1.11")
    trace_agrees(lab, *MACHINES)
    gets(lab, OUTBOUND)
    gets(lab, INBOUND, "--reverse")
    lab.weft("delete", "virtualNetworks/partner/virtualNetworkPeerings/to-shop", "--wait")
    assert last_line(lab.run("ping", "web1", "10.9.1.11", "-c", "2", "-i", "0.1", code=1)) == "2 sent, 0 received"
    trace_agrees(lab, "partner1")
    assert ping(lab, "web1", "10.1.1.1") == "20 sent, 20 received"
