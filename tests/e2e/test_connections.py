"""A virtual network and the physical one: a VLAN, a tunnel, routes, and what is left of it when a gateway dies."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.labs import EXAMPLES, PATH, ROOT, Pinging, ping
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
    got, first = 0, time.monotonic()
    while part := caller.recv(65536):
        got += len(part)
    print(got * 8 / 1000 / (time.monotonic() - first), flush=True)
"""
GIVE = """
import socket, sys
with socket.create_connection((sys.argv[1], 5001), timeout=10) as connection:
    connection.sendall(bytes(1_000_000))
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
    """branch speaks GRE, and has 10.9.0.1 behind it."""
    speaking = begun(lab, "branch", sys.executable, "-m", "tests.gre", "198.51.100.1", "198.51.100.10", str(key))
    try:
        for words in ("addr add 172.16.0.2/30 dev gre0", "link set gre0 mtu 1472 up", "route add 10.1.0.0/16 dev gre0"):
            run("ip", "-n", f"{lab.name}-branch", *words.split())
        run("ip", "-n", f"{lab.name}-branch", "addr", "replace", "10.9.0.1/32", "dev", "lo")
        yield
    finally:
        speaking.kill()
        speaking.communicate()


def kbps(lab, giver, taker, address):
    """What a TCP connection brings, by whoever takes it."""
    with begun(lab, taker, sys.executable, "-c", TAKE) as taking:
        run(*within(lab, giver, sys.executable, "-c", GIVE, address))
        return float(taking.stdout.readline())


def reached(lab, machine, address, count=5):
    return ping(lab, machine, address, count=count) == f"{count} sent, {count} received"


def refused(lab, machine, address):
    told = subprocess.run(
        within(lab, machine, "ping", "-c", "3", "-i", "0.1", "-W", "0.5", address), capture_output=True
    )
    return told.returncode == 1


def test_a_vlan_and_a_virtual_network_reach_each_other_and_no_other_vlan(shared):
    assert reached(shared, "blue1", "10.100.0.1") and reached(shared, "office", "10.1.1.11")
    assert reached(shared, "blue1", "10.100.0.11") and reached(shared, "desk1", "10.1.1.11")
    assert refused(shared, "blue1", "10.100.0.7"), "it is on another VLAN"
    assert refused(shared, "stranger", "10.1.1.11")
    run("ip", "-n", f"{shared.name}-office", "addr", "replace", "10.200.0.1/32", "dev", "lo")
    assert reached(shared, "blue1", "10.200.0.1"), "the connection's route, by the VLAN's router"


def test_customer_addresses_are_routed_as_they_are_within_the_limits_of_the_connection(shared):
    out, inward = kbps(shared, "blue1", "office", "10.100.0.1"), kbps(shared, "office", "blue1", "10.1.1.11")
    assert 4000 < out < 9000 and 2500 < inward < 5600, (out, inward)
    with begun(
        shared,
        "office",
        sys.executable,
        "-c",
        TAKE.replace("caller, _ =", "caller, whose =").replace("got, first", "print(whose[0], flush=True); got, first"),
    ) as taking:
        run(*within(shared, "blue1", sys.executable, "-c", GIVE.replace("1_000_000", "1"), "10.100.0.1"))
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
        out, inward = kbps(shared, "blue1", "branch", "10.9.0.1"), kbps(shared, "branch", "blue1", "10.1.1.11")
        assert 3000 < out < 6700 and 2000 < inward < 4600, (out, inward)


def test_connections_go_on_by_the_other_gateway(module_lab):
    lab, _ = module_lab
    with far_end(lab, 77):
        pings = (
            Pinging(lab, "blue1", "172.16.0.2"),
            Pinging(lab, "branch", "10.1.1.11"),
            Pinging(lab, "office", "10.1.1.11"),
        )
        state = LabFolder(lab.folder / lab.name).read()
        gateway = state.hosts["gw1"]
        for process in (gateway.agent, gateway.switch, gateway.database):
            assert alive(process)
            os.kill(process.pid, signal.SIGKILL)
        for one in pings:
            one.more(100)
            silence = one.end()
            assert silence.longest_s < WITHIN_SECONDS, silence
