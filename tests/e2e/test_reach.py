"""What stands in the way of tunnels between two hosts of the lab is told by the host that cannot reach the other.

Stories 4.8 and 4.13: a firewall between the sites drops the tunnel protocol, a link on the way carries less.
"""

import json
import os
import subprocess
import time

import pytest

from tests.e2e.labs import EXAMPLES, PATH, ping
from weft.lab.names import router_namespace

pytestmark = pytest.mark.root

RULE = "add table inet t; add chain inet t f {{ type filter hook forward priority 0; }}; add rule inet t f {} drop"


def in_router(lab, *words):
    command = ["ip", "netns", "exec", router_namespace(lab.name), *words]
    subprocess.run(command, check=True, env={**os.environ, "PATH": PATH})


def anew(lab, *hosts):
    """Their agents ask at once instead of within a minute."""
    for host in hosts:
        lab.run("kill", "agent", host)
        lab.run("start", "agent", host)


def told(lab, host, words, patience=60.0):
    until = time.monotonic() + patience
    while True:
        problems = [one["message"] for one in json.loads(lab.weft("host", "state", host, "-o", "json"))["problems"]]
        if any(one.startswith(words) for one in problems):
            return
        assert time.monotonic() < until, problems


def test_story_4_13_a_blocked_tunnel_protocol_and_a_small_mtu_are_told(lab):
    lab.run("up", str(EXAMPLES / "two-tenants.yaml"))
    in_router(lab, "nft", RULE.format("ip protocol 47"))
    anew(lab, "host1")
    told(lab, "host1", "GRE (IP protocol 47) blocked between 192.168.1.10 and 192.168.2.20: pings pass")
    in_router(lab, "nft", "delete table inet t")
    # what host2 sends leaves the router by host1's link
    in_router(lab, "ip", "link", "set", "dev", "net0", "mtu", "1400")
    anew(lab, "host2")
    told(lab, "host2", "MTU too small between 192.168.2.20 and 192.168.1.10: 13")
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received", "small packets pass all the same"
    in_router(lab, "ip", "addr", "add", "192.168.1.10/32", "dev", "net0")
    anew(lab, "host1")
    told(lab, "host1", "provider address 192.168.1.10 is also ")
