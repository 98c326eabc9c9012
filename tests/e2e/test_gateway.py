"""Out of a virtual network and in again by real gateways, and one of them dies."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e import provider, stores
from tests.e2e.agreement import Traced
from tests.e2e.labs import EXAMPLES, PATH, Pinging, ping
from tests.e2e.processor import Waited
from tests.waiting import until
from weft.lab.names import router_port
from weft.lab.processes import alive
from weft.lab.state import LabFolder

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "gateway.yaml")

WITHIN_SECONDS = 3.0
OUTSIDE, NAT, PUBLIC = "203.0.113.1", "203.0.113.10", "203.0.113.20"
TALK = str(Path(__file__).with_name("talk.py"))
AGAIN = 2.5
"""TCP asks anew after 0.2, 0.4, 0.8 ... s without an answer, so it may sleep as long again when the way is there."""


@pytest.fixture
def lab(shared):
    awaited(shared, "blue1", OUTSIDE)
    return shared


def test_a_network_has_a_way_out_and_its_machines_are_known_outside(lab):
    with_patience = {"count": 20, "interval": 0.05}
    assert ping(lab, "blue1", OUTSIDE, **with_patience) == "20 sent, 20 received"
    assert ping(lab, "internet", PUBLIC, **with_patience) == "20 sent, 20 received"
    assert "0 received" in lab.run("ping", "red1", OUTSIDE, "-c", "3", "-i", "0.1", code=1)
    seen = lab.weft("trace", "blue2-eth0", OUTSIDE)
    assert f"known outside as {PUBLIC}" in seen and "gw1" in seen
    assert "no gateway" in lab.weft("trace", "red1-eth0", OUTSIDE)
    with Traced(lab) as traced:
        own = edge_of(lab)
        told = traced.agree("blue1", [(to, "icmp", 0) for to in (OUTSIDE, own, "10.1.1.1", "10.1.1.12", "10.1.1.77")])
        assert own in told[1]["reason"]
        traced.agree("red1", [(to, "icmp", 0) for to in (OUTSIDE, own, "10.1.1.1")])


def edge_of(lab):
    """The gateway's own address in the network."""
    found = json.loads(lab.weft("get", "virtualGateways", "blue", "-o", "json"))
    return found["properties"]["gatewayAddresses"][0]


MORE = {"host1": "192.168.1.50", "host2": "192.168.2.50", "gw1": "192.168.1.71", "gw2": "192.168.1.72"}
"""By server its second address with policy several; blue/web falls to that of host1."""
IN_SOAK = [pytest.param(policy, marks=pytest.mark.soak) for policy in ("perHost", "perVirtualSubnet")]


@pytest.fixture(params=["several", *IN_SOAK])
def sender(request, lab, tmp_path):
    """From which of its provider addresses host1 sends what is blue1's, all servers having this policy."""
    before = provider.own_addresses(lab)
    each = {name: {"providerAddressPolicy": request.param} for name in before}
    if request.param == "several":
        asked = {name: [*own, MORE[name]] for name, own in before.items()}
        each = {name: one | {"providerAddressCount": 2, "providerAddresses": asked[name]} for name, one in each.items()}
    provider.ask(lab, tmp_path, each)
    found = provider.reached_at(lab, "host2", "10.1.1.11")
    is_what = {"perHost": found in before["host1"], "several": found == MORE["host1"]}
    assert is_what.get(request.param, not any(is_what.values())), found
    yield found
    assert provider.ask(lab, tmp_path, provider.per_host(before)) == before


@pytest.mark.longer
def test_it_survives_a_gateway_and_the_controller_and_so_do_connections_behind_nat(lab, sender, talk):
    """In make test with several provider addresses, in soak with each policy."""
    outward, inward = Pinging(lab, "blue1", OUTSIDE), Pinging(lab, "internet", PUBLIC)
    gateways = provider.own_addresses(lab)["gw1"]
    assert {one for one, to in provider.crossing(lab, "host1", 30) if to in gateways} == {sender}
    waited = Waited(lab)
    kill(lab, "gw1", controller=True)
    for pings in (outward, inward):
        pings.more(100)
        silence = pings.end()
        print(silence, "waited for a processor:", waited.seconds())
        assert silence.longest_s < WITHIN_SECONDS + waited.seconds(), silence
    silent_s = talk.more(50)
    within_s = AGAIN * (WITHIN_SECONDS + waited.seconds())
    assert silent_s < within_s, "only the other side speaks: the new gateway knew whose it is"
    waited = Waited(lab)
    lab.run("up", FILE)
    until(lambda: "left by the gateway on gw1" in lab.weft("trace", "blue1-eth0", OUTSIDE))
    silent_s = talk.more(50)
    within_s = AGAIN * (WITHIN_SECONDS + waited.seconds())
    assert silent_s < within_s, "and the first one when it was back"


@pytest.mark.soak
@pytest.mark.parametrize("trouble", ["none", "late feed", "dead controller"])
def test_streams_both_ways_behind_nat_go_on_under_load(lab, trouble):
    """One connection each way, 20 Mbit/s, in tenths of a second: how long does nothing arrive?"""
    late = trouble == "late feed"
    if late:
        lab.run("delay-feed", "5")
    lab.begin("exec", "internet", "--", "iperf3", "-s", "-1", "-J", "-i", "0.1", stdout=subprocess.DEVNULL)
    until(lambda: "5201" in lab.run("exec", "internet", "--", "ss", "-Htln"), "the server does not listen")
    words = ("iperf3", "-c", OUTSIDE, "--bidir", "-b", "20M", "-t", "15", "-i", "0.1", "-J", "--get-server-output")
    with tempfile.TemporaryFile() as heard:
        client = lab.begin("exec", "blue1", "--", *words, stdout=heard)
        until(lambda: min(carried(lab)) >= BEFORE_BYTES, lambda: carried(lab), 60, lambda: client.poll() is None)
        kill(lab, "gw1", controller=trouble == "dead controller")
        client.wait(timeout=60)
        said = json.loads(os.pread(heard.fileno(), 1 << 24, 0))
    assert "error" not in said, said["error"]
    if late:
        lab.run("delay-feed", "0")
    for end, what in ((said, "sum_bidir_reverse"), (said["server_output_json"], "sum")):
        arrived = [one[what]["bytes"] for one in end["intervals"]]
        silence = longest_silence(arrived) / 10
        print(f"{trouble}, {what}: {sum(arrived) * 8 / 15e6:.1f} Mbit/s, nothing for {silence:.1f} s")
        assert 0 < silence < AGAIN * WITHIN_SECONDS
        assert sum(arrived[-20:]) > sum(arrived[10:30]) / 4, "it has recovered"


BEFORE_BYTES = 3 * 20_000_000 // 8
"""Of each stream, before anything happens: what three seconds bring."""


def carried(lab):
    """Bytes that the server has got, and those that the client has got from it."""
    told = lab.run("exec", "internet", "--", "ss", "-Htin", "sport", "=", ":5201")
    return [max(map(int, re.findall(rf"{word}:(\d+)", told)), default=0) for word in ("bytes_received", "bytes_acked")]


def longest_silence(arrived):
    """How many intervals in a row brought nothing."""
    return max(map(len, "".join("x" if one else " " for one in arrived).split("x")))


def test_a_gateway_that_was_cut_off_is_known_outside_again(lab):
    """Its agent lives all the while, and the other gateway lets go without a word."""
    cable = router_port(LabFolder(lab.folder / lab.name).read().hosts["gw1"].number)
    first, other = (mac_outside(lab, gateway) for gateway in ("gw1", "gw2"))
    ip(lab, "@router", "link", "set", "dev", cable, "down")
    try:
        until(lambda: known_outside(lab) == other and answers(lab))
    finally:
        ip(lab, "@router", "link", "set", "dev", cable, "up")
    until(lambda: not ip(lab, "gw2@edge1", "-o", "address", "show", "to", NAT))
    # at once, not when the neighbour's entry has aged, which is half a minute later
    until(lambda: known_outside(lab) == first, patience=WITHIN_SECONDS + 7)
    assert answers(lab)


def ip(lab, space, *words):
    """What iproute2 says in a namespace."""
    command = ("ip", "-n", f"{lab.name}-{space}", *words)
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": PATH}).stdout


def mac_outside(lab, gateway):
    return json.loads(ip(lab, f"{gateway}@edge1", "-j", "link", "show", "dev", "o0"))[0]["address"]


def known_outside(lab):
    """At which MAC address what is outside has the network's own public address."""
    return json.loads(ip(lab, "internet", "-j", "neigh", "show", NAT))[0].get("lladdr")


def answers(lab):
    """Of what begins now."""
    command = ("ip", "netns", "exec", f"{lab.name}-blue1", "ping", "-q", "-c", "1", "-W", "1", OUTSIDE)
    return not subprocess.run(command, capture_output=True, env={**os.environ, "PATH": PATH}).returncode


def test_where_no_gateway_lives_that_is_a_state_and_a_reason(lab):
    kill(lab, "gw1", "gw2")
    words = ("get", "virtualGateways", "blue", "-o", "json")
    until(lambda: "no gateway: none of gw1, gw2 answers" in lab.weft(*words), lambda: lab.weft(*words))
    said = lab.weft(*words)
    assert '"status": "Failure"' in said and "activeGateway" not in said
    assert "no gateway: host1 finds none alive of those of /virtualGateways/blue: gw1, gw2" in lab.weft(
        "trace", "blue1-eth0", OUTSIDE
    )
    shown = [line.split() for line in lab.weft("get", "gateways").splitlines()[1:]]
    assert [(row[0], row[3]) for row in shown] == [("gw1", "Dead"), ("gw2", "Dead")]


@pytest.fixture
def store(lab, tmp_path):
    """A machine on host2 that has all that one can have; nothing is left of it."""
    for name, text in zip(("plain", "more"), stores.documents(), strict=True):
        (tmp_path / f"{name}.yaml").write_text(text)
    lab.weft("apply", "-f", str(tmp_path / "more.yaml"), "--wait")
    for name in ("asker", "store"):
        lab.weft("vm", "start", name)
    yield "store"
    for part in ("switch", "agent"):
        lab.run("start", part, "host2")  # also where the test ended before that
    for name in ("asker", "store"):
        lab.weft("vm", "stop", name)
        lab.weft("vm", "delete", name, "--interfaces", "-y")
    lab.weft("delete", "publicIPAddresses", "store")
    lab.weft("delete", "accessControlLists", "no-telnet")
    lab.weft("apply", "-f", str(tmp_path / "plain.yaml"), "--wait")


def test_a_machine_whose_host_dies_has_all_that_it_had_where_it_is_brought_up_again(lab, store):
    """MAC, addresses of both families, the one that its guest brought, the public one, access list, port settings."""
    bring = f"ip address add {stores.VIP}/24 dev eth0"
    announce = f"busybox arping -U -q -c 1 -I eth0 {stores.VIP}"
    lab.run("exec", store, "--", "sh", "-c", f"{bring} && {announce}")
    until(lambda: stores.reached(lab, stores.OWN, stores.OWN6, stores.VIP))
    awaited(lab, "internet", stores.PUBLIC)
    before = stores.has(lab)
    assert [one["ipAddress"] for one in before["learnedIPAddresses"]] == [stores.VIP]
    assert [sorted(stores.limits(lab, host)) for host in ("host1", "host2")] == [[], ["33000", "77"]]
    assert stores.telnet(lab) == ["TimeoutError", "ConnectionRefusedError"]

    kill(lab, "host2")
    stores.end_guests(lab, "host2")
    until(lambda: not json.loads(lab.weft("host", "state", "host2", "-o", "json"))["connected"])
    lab.weft("vm", "failover", "--from", "host2", "--to", "host1")
    assert stores.has(lab) == before
    # its guest begins anew: it brings its address again, and need not say so, since that is known to be its own
    assert not stores.reached(lab, stores.VIP)
    lab.run("exec", store, "--", "sh", "-c", bring)
    assert stores.reached(lab, stores.OWN, stores.OWN6, stores.VIP)
    assert ping(lab, "internet", stores.PUBLIC, interval=0.05) == "20 sent, 20 received"
    assert stores.telnet(lab) == ["TimeoutError", "ConnectionRefusedError"]
    assert sorted(stores.limits(lab, "host1")) == ["33000", "77"]

    # the host that comes back has none of them, and they are reached as before
    lab.run("start", "switch", "host2")
    lab.run("start", "agent", "host2")
    until(lambda: not stores.limits(lab, "host2") and "blue2" not in lab.weft("host", "state", "host2"))
    assert stores.reached(lab, stores.OWN, stores.OWN6, stores.VIP) and stores.has(lab) == before
    lab.weft("vm", "migrate", "blue2", "--to", "host2")


class Talk:
    """A connection behind NAT in which only the other side says anything, ten times a second."""

    def __init__(self, lab):
        says = lab.begin("exec", "internet", "--", sys.executable, TALK, "says", OUTSIDE)
        assert says.stdout.readline() == "ready\n"
        self._said = tempfile.TemporaryFile()
        self._hears = lab.begin("exec", "blue1", "--", sys.executable, TALK, "hears", OUTSIDE, stdout=self._said)
        assert says.stdout.readline() == f"{NAT}\n"
        self.more(5)

    def _heard(self):
        """Numbers, and the seconds since the one before."""
        said = os.pread(self._said.fileno(), 1 << 20, 0).decode().split()
        return [int(one) for one in said[::2]], [float(one) for one in said[1::2]]

    def close(self):
        self._hears.kill()
        self._said.close()

    def more(self, count, patience=60.0):
        """Wait until so many more numbers are heard; the longest silence before any of them."""
        before = len(self._heard()[0])
        until(
            lambda: len(self._heard()[0]) >= before + count,
            lambda: self._heard()[0][-1:],
            patience,
            lambda: self._hears.poll() is None,
        )
        numbers, silences = self._heard()
        assert numbers == list(range(1, len(numbers) + 1))
        return max(silences[before:])


@pytest.fixture
def talk(lab):
    talking = Talk(lab)
    yield talking
    talking.close()


def kill(lab, *gateways, controller=False):
    """All processes that carry packets there, and the agent, at once."""
    state = LabFolder(lab.folder / lab.name).read()
    hosts = [state.hosts[gateway] for gateway in gateways]
    dying = [process for host in hosts for process in (host.agent, host.switch, host.database)]
    for process in [*dying, *([state.controller] if controller else [])]:
        assert alive(process)
        os.kill(process.pid, signal.SIGKILL)


def awaited(lab, machine, address):
    for _ in range(20):
        done = subprocess.run(lab.command("ping", machine, address, "-c", "2", "-i", "0.2"), env=lab.environment)
        if done.returncode == 0:
            return
    raise AssertionError(f"{machine} does not reach {address}")
