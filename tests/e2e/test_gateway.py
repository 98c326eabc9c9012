"""Out of a virtual network and in again by real gateways, and one of them dies."""

import os
import signal
import subprocess

import pytest

from tests.e2e.labs import EXAMPLES, PATH, Pinging, ping
from weft.lab.processes import alive
from weft.lab.state import LabFolder

pytestmark = pytest.mark.root

WITHIN_SECONDS = 3.0


def test_a_network_has_a_way_out_that_survives_a_gateway_and_the_controller(lab, folder):
    lab.run("up", str(EXAMPLES / "gateway.yaml"))
    with_patience = {"count": 20, "interval": 0.05}
    awaited(lab, "blue1", "203.0.113.1")
    assert ping(lab, "blue1", "203.0.113.1", **with_patience) == "20 sent, 20 received"
    assert ping(lab, "internet", "203.0.113.20", **with_patience) == "20 sent, 20 received"
    assert "0 received" in lab.run("ping", "red1", "203.0.113.1", "-c", "3", "-i", "0.1", code=1)
    seen = lab.weft("trace", "blue2-eth0", "203.0.113.1")
    assert "known outside as 203.0.113.20" in seen and "gw1" in seen
    assert "no gateway" in lab.weft("trace", "red1-eth0", "203.0.113.1")

    outward, inward = Pinging(lab, "blue1", "203.0.113.1"), Pinging(lab, "internet", "203.0.113.20")
    state = LabFolder(folder / lab.name).read()
    gateway = state.hosts["gw1"]
    for process in (gateway.agent, gateway.switch, gateway.database, state.controller):
        assert alive(process)
        os.kill(process.pid, signal.SIGKILL)
    for pings in (outward, inward):
        pings.more(100)
        silence = pings.end()
        assert silence.longest_s < WITHIN_SECONDS, silence

    lab.run("down")
    left = subprocess.run(["ip", "netns"], capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout
    assert lab.name not in left, "the edges' namespaces went with the lab"


def awaited(lab, machine, address):
    for _ in range(20):
        done = subprocess.run(lab.command("ping", machine, address, "-c", "2", "-i", "0.2"), env=lab.environment)
        if done.returncode == 0:
            return
    raise AssertionError(f"{machine} does not reach {address}")
