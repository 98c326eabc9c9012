"""What stands in the way of tunnels between two hosts of the lab is told by the host that finds it.

Stories 4.8, 4.13, 4.14 and X4: a firewall between the sites drops the tunnel protocol, a link on the way carries less,
another machine has a host's provider address.
"""

import contextlib
import functools
import json
import os
import subprocess

import httpx
import pytest

from tests.e2e.labs import EXAMPLES, PATH, ping
from tests.waiting import until
from weft.lab.names import router_namespace

pytestmark = pytest.mark.root

FILE = str(EXAMPLES / "two-tenants.yaml")
RULES = (
    "add table inet t; add chain inet t f { type filter hook forward priority 0; }; "
    "add rule inet t f ip protocol 47 drop; add rule inet t f udp dport 4789 drop"
)


def in_router(lab, *words):
    command = ["ip", "netns", "exec", router_namespace(lab.name), *words]
    subprocess.run(command, check=True, env={**os.environ, "PATH": PATH})


def anew(lab, *hosts):
    """Their agents ask at once instead of within a minute."""
    for host in hosts:
        lab.run("kill", "agent", host)
        lab.run("start", "agent", host)


def problems(lab, host):
    return [one["message"] for one in json.loads(lab.weft("host", "state", host, "-o", "json"))["problems"]]


def told(lab, host, words):
    said = functools.partial(problems, lab, host)
    until(lambda: any(one.startswith(words) for one in said()), said)


def test_story_4_13_a_blocked_tunnel_protocol_and_a_small_mtu_are_told(shared):
    """Of both tunnels at once: red goes by NVGRE, blue by VXLAN."""
    lab, where = shared, "blocked between host1 (192.168.1.10) and host2 (192.168.2.20): pings pass"
    put_into_blue(lab, networkVirtualizationProtocol="VXLAN")
    in_router(lab, "nft", RULES)
    anew(lab, "host1")
    told(lab, "host1", f"GRE (IP protocol 47) {where}")
    told(lab, "host1", f"VXLAN (UDP port 4789) {where}")
    in_router(lab, "nft", "delete table inet t")
    # what host2 sends leaves the router by host1's link
    in_router(lab, "ip", "link", "set", "dev", "net0", "mtu", "1400")
    anew(lab, "host2")
    told(lab, "host2", "MTU too small between host2 (192.168.2.20) and host1 (192.168.1.10): 13")
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received", "small packets pass all the same"
    in_router(lab, "ip", "link", "set", "dev", "net0", "mtu", "1500")
    put_into_blue(lab, networkVirtualizationProtocol="")


def put_into_blue(lab, status=200, **properties):
    """The network with these properties; what the controller says."""
    path = f"{json.loads(lab.file.read_text())['url']}/networking/v1/virtualNetworks/blue"
    body = {"properties": httpx.get(path, timeout=30).json()["properties"] | properties}
    answer = httpx.put(path, params={"wait": "hosts"}, json=body, timeout=30)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_story_4_14_these_hosts_encrypt_no_tunnels_and_say_why(shared):
    subnets = put_into_blue(shared)["properties"]["subnets"]
    subnets[0]["properties"]["encryptionEnabled"] = True
    error = put_into_blue(shared, 409, subnets=subnets)["error"]
    assert error["code"] == "EncryptionNotAvailable"
    for host in ("host1", "host2"):
        assert host in error["message"], error
    assert "userspace" in error["message"], error
    assert "userspace" in shared.weft("host", "state", "host1")


@contextlib.contextmanager
def another_machine(lab, address):
    """A namespace with this address on host2's provider subnet, until the end; its MAC address."""
    name, bridge = f"x4{os.getpid()}", "net1"
    command("ip", "netns", "add", name)
    try:
        in_router(lab, "ip", "link", "add", "x4", "master", bridge, "up", "type", "veth", "peer", "eth0", "netns", name)
        command("ip", "-n", name, "link", "set", "dev", "eth0", "address", "02:aa:00:00:00:07", "up")
        command("ip", "-n", name, "address", "add", address, "dev", "eth0")
        yield name
    finally:
        command("ip", "netns", "del", name)


def reaches(lab):
    words = lab.command("ping", "blue1", "10.1.1.12", "-c", "2", "-i", "0.1")
    return subprocess.run(words, capture_output=True, env=lab.environment).returncode == 0


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": PATH})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def conflicts(lab):
    return [one for one in json.loads(lab.weft("conflicts", "-o", "json")) if one["address"] == "192.168.2.20"]


def test_story_x4_a_provider_address_that_another_machine_has(shared):
    """In use it is kept, and that another claims it is told; a host that begins with it waits until it is free,
    but for what needs no tunnels."""
    lab = shared
    until(lambda: reaches(lab))
    with another_machine(lab, "192.168.2.20/24") as other:
        # it asks for its router, in its own name
        subprocess.run(["ip", "netns", "exec", other, "ping", "-c", "1", "-W", "1", "192.168.2.1"], capture_output=True)
        told(lab, "host2", "provider address 192.168.2.20 is also 02-AA-00-00-00-07's")
        assert "goes on using it" in until(lambda: conflicts(lab))[0]["remedy"]
        assert "weft-gre" in lab.run("host", "host2", "ovs-vsctl", "list-ports", "br-int")
        lab.run("kill", "agent", "host2")
        lab.run("host", "host2", "ovs-vsctl", "del-port", "weft-gre")
        lab.run("start", "agent", "host2")
        told(
            lab, "host2", "provider address 192.168.2.20 is 02-AA-00-00-00-07's already, so it is used for nothing here"
        )
        assert "weft-gre" not in lab.run("host", "host2", "ovs-vsctl", "list-ports", "br-int")
        (conflict,) = until(lambda: conflicts(lab))
        assert (conflict["kind"], conflict["holders"][0]["resourceRef"]) == ("foreign", "/servers/host2")
        assert "uses it for nothing" in conflict["remedy"]
        # it can be emptied all the same
        lab.weft("host", "evacuate", "host2")
        until(lambda: reaches(lab))
    until(lambda: not conflicts(lab))
    for machine in ("blue2", "bluedb", "red2"):
        lab.weft("vm", "migrate", machine, "--to", "host2")
    until(lambda: reaches(lab))
