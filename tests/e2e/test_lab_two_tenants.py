"""Two tenants in the lab: what trace says is what arrives, and a host is emptied under load.

Nobody gets what is not his, whatever guests and the wire send; make soak asks that again after random churn, with
agents, switches and the controller dying.

Trace is asked about every pair of machines, gateways and nobody's addresses, by each protocol: dozens of questions in
make test, thousands in make soak.
"""

import json
import random
import time

import pytest

from tests.conftest import PROFILE
from tests.e2e import provider
from tests.e2e.agreement import Traced
from tests.e2e.labs import EXAMPLES
from tests.e2e.matrix import Matrix
from tests.waiting import until

pytestmark = [pytest.mark.root, pytest.mark.longer]
FILE = str(EXAMPLES / "two-tenants.yaml")
PORTS = range(1, 120) if PROFILE == "soak" else (22,)
OTHERS = ("10.1.1.1", "10.1.2.1", "10.1.1.77", "10.1.2.77", "203.0.113.9")


def test_trace_says_what_the_lab_carries(shared):
    interfaces = {name: f"{name}-eth0" for name in ("blue1", "blue2", "bluedb", "red1", "red2")}
    shared.weft("vm", "stop", "red2")
    # a kernel refuses no more than some 50 datagrams at once
    asked = [("icmp", 0), *(("tcp", port) for port in PORTS), *(("udp", port) for port in PORTS[:4])]
    with Traced(shared) as traced:
        held = {name: traced.address_of(interface) for name, interface in interfaces.items()}
        for name in ("blue1", "blue2", "bluedb", "red1"):
            targets = sorted({*held.values(), *OTHERS} - {held[name]})
            told = traced.agree(name, [(to, protocol, port) for to in targets for protocol, port in asked])
            assert {found["delivered"] for found in told} == {True, False}
    shared.weft("vm", "start", "red2")


def test_whatever_is_sent_reaches_nobody_whose_it_is_not(shared):
    lie(shared)
    if PROFILE != "soak":
        return
    chance = random.Random(time.time_ns())
    for _ in range(10):
        churn(shared, chance)
        lie(shared)


def lie(lab):
    with Matrix(lab) as matrix:
        matrix.honest()
        matrix.loud()
        assert matrix.guests_lie() > 900 and matrix.wire_lies() > 400
        matrix.honest()


def churn(lab, chance):
    """Something of somebody's life, with something dying meanwhile; until all is well again."""
    name = chance.choice(("blue1", "blue2", "bluedb", "red1", "red2"))
    what = chance.choice(("move", "stop", "renew"))
    dies = chance.choice((("agent", "host1"), ("agent", "host2"), ("switch", "host1"), ("controller",)))
    print("churn:", name, what, dies)
    if what == "move":
        host = chance.choice(("host1", "host2"))
        if f"machine     {name:22}running on {host}" not in lab.run("status"):
            lab.weft("vm", "migrate", name, "--to", host)
    else:
        lab.weft("vm", "stop", name)
        if what == "renew":
            lab.weft("vm", "renew-mac", name, "--yes")
        lab.weft("vm", "start", name)
    lab.run("kill", *dies)
    lab.run("up", FILE)


@pytest.mark.parametrize("policy", [pytest.param("perHost", marks=pytest.mark.soak), "perVirtualSubnet"])
def test_a_host_is_emptied_while_one_of_its_machines_is_busy(shared, tmp_path, policy):
    """Across provider subnets, by one call, while the feed is late: a TCP connection goes on. Each virtual subnet's
    address comes and goes with its machines, where each has its own."""
    before = provider.own_addresses(shared)
    provider.ask(shared, tmp_path, {name: {"providerAddressPolicy": policy} for name in before})
    assert addresses_of_subnets(shared) == ({"host1": 2, "host2": 3} if policy == "perVirtualSubnet" else {})
    shared.run("delay-feed", "1")
    server = shared.begin("exec", "blue2", "--", "iperf3", "-s", "-1")
    until_listening(shared)
    stream = shared.begin("exec", "blue1", "--", "iperf3", "-J", "-b", "5M", "-t", "12", "-c", "10.1.1.12")
    said = shared.weft("host", "evacuate", "host2", "--to", "host1")
    assert {line.split()[0] for line in said.splitlines()[1:]} == {"blue2", "bluedb", "red2"}
    told = json.loads(stream.communicate(timeout=60)[0])
    assert "error" not in told and server.wait(30) == 0
    assert told["end"]["sum_received"]["bytes"] > 0
    assert all(one["sum"]["bytes"] > 0 for one in told["intervals"][-2:]), "the move is in the middle"
    shared.run("delay-feed", "0")
    # the host that was left gives its own back when nobody sends there any more
    left = {"host1": 3} if policy == "perVirtualSubnet" else {}
    until(lambda: addresses_of_subnets(shared) == left, lambda: addresses_of_subnets(shared))
    for name in ("blue2", "bluedb", "red2"):
        shared.weft("vm", "migrate", name, "--to", "host2")
    assert provider.ask(shared, tmp_path, provider.per_host(before)) == before


def addresses_of_subnets(lab):
    """How many provider addresses of virtual subnets each host has, of those that have any."""
    found = json.loads(lab.weft("get", "servers", "-o", "json"))
    counts = {one["resourceId"]: len(one["properties"].get("virtualSubnetAddresses", ())) for one in found}
    return {name: count for name, count in counts.items() if count}


def until_listening(lab):
    until(lambda: "5201" in lab.run("exec", "blue2", "--", "ss", "-ltn"))
