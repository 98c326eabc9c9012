"""A virtual network and the physical one: a VLAN, a tunnel, routes, and what is left of it when a gateway dies."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from tests.e2e.labs import EXAMPLES, PATH, ROOT, Pinging
from tests.e2e.processor import Waited
from weft.lab import pings
from weft.lab.processes import alive
from weft.lab.state import LabFolder

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "connections.yaml")
WITHIN_SECONDS = 3.0

TAKE = """
import socket, time
with socket.create_server(("0.0.0.0", 5001)) as door:
    print("ready", flush=True)
    caller, _ = door.accept()
    got = 0
    while part := caller.recv(65536):
        got += len(part)
    print(got, time.monotonic(), flush=True)
"""
GIVE = """
import socket, sys, time
print(time.monotonic(), flush=True)
with socket.create_connection((sys.argv[1], 5001), timeout=10) as connection:
    connection.sendall(bytes(600_000))
"""


def within(lab, name, *words):
    return ["ip", "netns", "exec", f"{lab.name}-{name}", *words]


def run(*words):
    subprocess.run(words, check=True, env={**os.environ, "PATH": PATH})


def begun(lab, name, *words):
    """A program in a namespace, once it has said that it is ready."""
    found = subprocess.Popen(within(lab, name, *words), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert found.stdout.readline().strip() == "ready"
    return found


@contextlib.contextmanager
def far_end(lab, key):
    """branch speaks GRE, and has 10.9.0.1 behind it, and the Internet."""
    speaking = begun(lab, "branch", sys.executable, "-m", "tests.gre", "198.51.100.1", "198.51.100.10", str(key))
    try:
        for words in ("addr add 172.16.0.2/30 dev gre0", "link set gre0 mtu 1472 up", "route add 10.1.0.0/16 dev gre0"):
            run("ip", "-n", f"{lab.name}-branch", *words.split())
        for address in ("10.9.0.1", "93.184.216.34"):
            run("ip", "-n", f"{lab.name}-branch", "addr", "replace", f"{address}/32", "dev", "lo")
        yield
    finally:
        speaking.kill()
        speaking.communicate()


def kbps(lab, giver, taker, address):
    """What a TCP connection brings, from before it begins until all of it is taken: both have the machine's clock."""
    with begun(lab, taker, sys.executable, "-c", TAKE) as taking:
        giving = within(lab, giver, sys.executable, "-c", GIVE, address)
        began = float(subprocess.run(giving, check=True, capture_output=True, text=True).stdout)
        got, ended = map(float, taking.stdout.readline().split())
        return got * 8 / 1000 / (ended - began)


def brings(lab, ends, least, most):
    """A connection never brings more; nor less, but where a busy machine keeps it from that."""
    for _ in range(10):
        found = kbps(lab, *ends)
        assert found < most
        if found > least:
            return
    raise AssertionError(f"no more than {found:.0f} kbit/s")


def answers(lab, name, address):
    """Of five pings; what is sent from a namespace itself starts no interpreter."""
    found = pings.Answers(5)
    words = within(lab, name, *pings.command(address, 5, 0.05))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as asking:
        for line in asking.stdout:
            found.take(line)
            if found.complete:
                asking.kill()
    return found.received


def reached(lab, name, address):
    return answers(lab, name, address) == 5


def refused(lab, name, address):
    return answers(lab, name, address) == 0


def test_a_vlan_and_a_virtual_network_reach_each_other_and_no_other_vlan(shared):
    assert reached(shared, "blue1", "10.100.0.1") and reached(shared, "office", "10.1.1.11")
    assert reached(shared, "blue1", "10.100.0.11") and reached(shared, "desk1", "10.1.1.11")
    assert refused(shared, "blue1", "10.100.0.7"), "it is on another VLAN"
    assert refused(shared, "stranger", "10.1.1.11")
    run("ip", "-n", f"{shared.name}-office", "addr", "replace", "10.200.0.1/32", "dev", "lo")
    assert reached(shared, "blue1", "10.200.0.1"), "the connection's route, by the VLAN's router"


def test_customer_addresses_are_routed_as_they_are_within_the_limits_of_the_connection(shared):
    brings(shared, ("blue1", "office", "10.100.0.1"), 4000, 9000)
    brings(shared, ("office", "blue1", "10.1.1.11"), 2500, 5600)
    with begun(
        shared,
        "office",
        sys.executable,
        "-c",
        TAKE.replace("caller, _ =", "caller, whose =").replace("got = 0", "print(whose[0], flush=True); got = 0"),
    ) as taking:
        run(*within(shared, "blue1", sys.executable, "-c", GIVE.replace("600_000", "1"), "10.100.0.1"))
        assert taking.stdout.readline().strip() == "10.1.1.11"


def test_a_tunnel_carries_what_has_its_key_and_only_as_much_as_it_may(shared):
    assert "in GRE from 198.51.100.10 to 198.51.100.1, key 77" in shared.weft("trace", "blue1-eth0", "10.9.0.1")
    assert "branch (GRE, Connected)" in shared.weft("get", "virtualGateways")
    with far_end(shared, 78):
        assert refused(shared, "blue1", "172.16.0.2"), "another key is another network's"
        assert refused(shared, "branch", "10.1.1.11")
    with far_end(shared, 77):
        assert reached(shared, "blue1", "172.16.0.2") and reached(shared, "blue1", "10.9.0.1")
        assert reached(shared, "branch", "10.1.1.11")
        assert refused(shared, "branch", "198.51.100.10"), "the host is not there for others"
        told = subprocess.run(
            within(shared, "branch", "ping", "-c", "1", "-M", "do", "-s", "1440", "10.1.1.11"),
            capture_output=True,
            text=True,
        )
        assert "mtu = 1458" in told.stdout, "what is too large for the network's tunnels is said to be"
        brings(shared, ("blue1", "branch", "10.9.0.1"), 3000, 6700)
        brings(shared, ("branch", "blue1", "10.1.1.11"), 2000, 4600)


ROUTES = {"0.0.0.0/0": "None", "10.100.0.0/24": "VirtualNetworkGateway", "93.184.216.0/24": "Internet"}
SUBNET = "virtualNetworks/blue/subnets/web"


def api(lab):
    return f"{json.loads(lab.file.read_text())['url']}/networking/v1"


def put_into(lab, path, properties):
    answer = httpx.put(f"{api(lab)}/{path}", params={"wait": "hosts"}, json={"properties": properties}, timeout=30)
    assert answer.is_success, answer.text


def test_routes_of_a_subnet_lead_to_the_gateway_or_nowhere(shared):
    put = functools.partial(put_into, shared)
    routes = [
        {"resourceId": f"r{n}", "properties": {"addressPrefix": prefix, "nextHopType": kind}}
        for n, (prefix, kind) in enumerate(ROUTES.items())
    ]
    put("routeTables/t", {"routes": routes})
    subnet = httpx.get(f"{api(shared)}/{SUBNET}", timeout=30).json()["properties"]
    with far_end(shared, 77):
        put(SUBNET, subnet | {"routeTable": {"resourceRef": "/routeTables/t"}})
        assert reached(shared, "blue1", "10.100.0.1") and reached(shared, "blue1", "93.184.216.34")
        assert refused(shared, "blue1", "172.16.0.2"), "0.0.0.0/0 leads nowhere, longer prefixes do"
        assert "blocked route" in shared.weft("trace", "blue1-eth0", "172.16.0.2")
        put(SUBNET, subnet)
        assert reached(shared, "blue1", "172.16.0.2")


def test_a_peer_uses_the_gateway(shared):
    assert reached(shared, "green1", "10.1.1.11")
    assert reached(shared, "green1", "10.100.0.1") and reached(shared, "office", "10.2.1.11")
    assert "to the gateway of peered network blue" in shared.weft("trace", "green1-eth0", "10.100.0.1")


WHITE_MACHINE = """\
kind: networkInterfaces
resourceId: white1-eth0
properties:
  privateMacAllocationMethod: Dynamic
  ipConfigurations:
  - resourceId: ip1
    properties:
      privateIPAllocationMethod: Static
      privateIPAddress: 10.3.1.11
      subnet: {resourceRef: /virtualNetworks/white/subnets/web}
---
kind: virtualMachines
resourceId: white1
properties:
  server: {resourceRef: /servers/host1}
  networkInterfaces: [{resourceRef: /networkInterfaces/white1-eth0}]
"""


@pytest.fixture
def hub(shared, tmp_path):
    """Another peer of blue, white, that leaves by its gateway as green does; gone afterwards."""

    def peer(network, remote, **words):
        there = {"remoteVirtualNetwork": {"resourceRef": f"/virtualNetworks/{remote}"}, **words}
        path = f"virtualNetworks/{network}/virtualNetworkPeerings/{remote}"
        put_into(shared, path, there | {"allowVirtualNetworkAccess": True})

    web = {"resourceId": "web", "properties": {"addressPrefix": "10.3.1.0/24"}}
    network = {"addressSpace": {"addressPrefixes": ["10.3.0.0/16"]}, "subnets": [web]}
    put_into(shared, "virtualNetworks/white", network | {"logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"}})
    peer("blue", "white", allowGatewayTransit=True)
    peer("white", "blue", useRemoteGateways=True)
    (tmp_path / "white.yaml").write_text(WHITE_MACHINE)
    shared.weft("apply", "-f", str(tmp_path / "white.yaml"), "--wait")
    shared.weft("vm", "start", "white1")
    run("ip", "-n", f"{shared.name}-office", "route", "replace", "10.3.0.0/16", "via", "10.100.0.5")
    yield shared
    for words in (("stop", "white1"), ("delete", "white1", "--interfaces", "-y")):
        shared.weft("vm", *words)
    for path in ("blue/virtualNetworkPeerings/white", "white"):
        assert httpx.delete(f"{api(shared)}/virtualNetworks/{path}", timeout=30).is_success


def test_two_peers_that_use_one_gateway_reach_what_is_outside_and_not_each_other(hub):
    for machine, own in (("green1", "10.2.1.11"), ("white1", "10.3.1.11")):
        assert reached(hub, machine, "10.1.1.11"), "each is a peer of the one in the middle"
        assert reached(hub, machine, "10.100.0.1") and reached(hub, "office", own)
    assert refused(hub, "green1", "10.3.1.11") and refused(hub, "white1", "10.2.1.11")


def test_connections_go_on_by_the_other_gateway(module_lab):
    lab, _ = module_lab
    with far_end(lab, 77):
        pinging = (
            Pinging(lab, "blue1", "172.16.0.2"),
            Pinging(lab, "branch", "10.1.1.11"),
            Pinging(lab, "office", "10.1.1.11"),
        )
        state = LabFolder(lab.folder / lab.name).read()
        gateway = state.hosts["gw1"]
        for process in (gateway.agent, gateway.switch, gateway.database):
            assert alive(process)
            os.kill(process.pid, signal.SIGKILL)
        waited = Waited(lab)
        pinging[0].more(100)
        for silence in [one.end() for one in pinging]:
            assert silence.longest_s < WITHIN_SECONDS + waited.seconds(), silence
