"""Isolation kinds beside each other on real hosts: VLANs of the physical network, and virtual networks."""

import json
import subprocess
import sys

import pytest

from tests.e2e.agreement import Traced
from tests.e2e.labs import EXAMPLES, INTERVAL, Pinging, mac_of, ping
from tests.e2e.matrix import Matrix
from tests.e2e.processor import Waited

pytestmark = pytest.mark.root
FILE = str(EXAMPLES / "vlans.yaml")


def machine(name, host, subnet, address):
    """A document of an interface and one of its machine; without an address it takes what it likes."""
    own = f"privateIPAllocationMethod: Static, privateIPAddress: {address}" if address else UNMANAGED
    return f"""
kind: networkInterfaces
resourceId: {name}-eth0
properties:
  privateMacAllocationMethod: Dynamic
  ipConfigurations:
  - {{resourceId: ip1, properties: {{{own}, subnet: {{resourceRef: {subnet}}}}}}}
---
kind: virtualMachines
resourceId: {name}
properties:
  server: {{resourceRef: /servers/{host}}}
  networkInterfaces: [{{resourceRef: /networkInterfaces/{name}-eth0}}]
"""


UNMANAGED = "privateIPAllocationMethod: Unmanaged"
FREE = "/logicalNetworks/opens/subnets/free"
OPEN = f"""
kind: logicalNetworks
resourceId: opens
properties:
  subnets:
  - resourceId: free
    properties:
      addressPrefix: 10.1.1.0/24
      vlanID: 0
      ipPools: [{{resourceId: p1, properties: {{startIpAddress: 10.1.1.10, endIpAddress: 10.1.1.99}}}}]
---
{machine("open1", "host1", FREE, "")}
---
{machine("open2", "host2", FREE, "10.1.1.12")}
"""
"""Guests on untagged frames, where the provider network is too; the first has what address it likes."""
TEAL = f"""
kind: virtualNetworks
resourceId: teal
properties:
  logicalNetwork: {{resourceRef: /logicalNetworks/hnvpa}}
  networkVirtualizationProtocol: VXLAN
  addressSpace: {{addressPrefixes: [10.1.1.0/24]}}
  subnets: [{{resourceId: web, properties: {{addressPrefix: 10.1.1.0/24}}}}]
---
{machine("teal1", "host1", "/virtualNetworks/teal/subnets/web", "10.1.1.11")}
---
{machine("teal2", "host2", "/virtualNetworks/teal/subnets/web", "10.1.1.12")}
"""
"""With the fifth kind, beside NVGRE, VLAN, untagged frames and IP rewrite: the other tunnel."""

TAKES = """
import socket
listening = socket.create_server(("10.1.1.12", 5000))
print("ready", flush=True)
taken, peer = listening.accept()
for line in taken.makefile():
    taken.sendall(f"{peer[0]} {line}".encode())
"""
ASKS = """
import socket, sys
with socket.create_connection(("10.1.1.12", 5000), 20) as asking:
    answers = asking.makefile()
    for line in sys.stdin:
        asking.sendall(line.encode())
        print(answers.readline(), end="", flush=True)
"""


@pytest.fixture
def lab(module_lab):
    """Each test goes on with what the one before has left."""
    return module_lab[0]


def test_vlans_beside_virtual_networks(lab, tmp_path):
    for tenant in ("shop", "desk", "blue", "green"):
        assert ping(lab, f"{tenant}1", "10.1.1.12") == "20 sent, 20 received"
        neighbours = lab.run("exec", f"{tenant}1", "--", "ip", "neigh").replace(":", "").upper()
        assert mac_of(lab, f"{tenant}2-eth0") in neighbours, "its own, of four machines with that address"
    begin(lab, tmp_path, OPEN, "open1", "open2")
    with Matrix(lab) as matrix:
        matrix.honest()
        assert matrix.guests_lie() > 2000 and matrix.wire_lies() > 400 and matrix.frames_lie() > 150
    begin(lab, tmp_path, TEAL, "teal1", "teal2")
    with Matrix(lab) as matrix:
        matrix.honest()
        matrix.loud()
    for host in ("host1", "host2"):
        ports = lab.run("host", host, "--", "ovs-vsctl", "list-ports", "br-int").split()
        assert {"weft-gre", "weft-vxlan", "weft-to-phy"} <= set(ports)
    with Traced(lab) as traced:
        questions = [
            (to, *kind) for to in ("10.1.1.12", "10.1.1.1", "10.1.1.77") for kind in (("icmp", 0), ("tcp", 22))
        ]
        for tenant in ("shop", "desk", "blue", "green"):
            traced.agree(f"{tenant}1", questions)
    pinging, waited = Pinging(lab, "shop1", "10.1.1.12"), Waited(lab)
    lab.weft("vm", "migrate", "shop2", "--to", "host1")
    silence = pinging.end()
    print(silence, waited.most())
    assert silence.lost * INTERVAL <= 0.02 + waited.most(), silence
    assert ping(lab, "desk1", "10.1.1.12") == "20 sent, 20 received"
    lab.weft("vm", "migrate", "green2", "--to", "host1")
    lab.weft("vm", "migrate", "green2", "--to", "host2")
    assert ping(lab, "green1", "10.1.1.12") == "20 sent, 20 received", "rewritten for another provider address"
    # the tunnel kind of a network that is in use
    pinging, waited = Pinging(lab, "blue1", "10.1.1.12"), Waited(lab)
    lab.weft("apply", "-f", str(changed(tmp_path)))
    silence = pinging.end()
    print(silence, waited.most())
    # hosts do not change in the same instant
    assert silence.lost * INTERVAL <= 0.1 + waited.most(), silence
    with Matrix(lab) as matrix:
        matrix.honest()
        assert matrix.guests_lie(of=("blue1",)) > 400 and matrix.wire_lies() > 400


def begin(lab, folder, documents, *machines):
    (folder / "more.yaml").write_text(documents)
    lab.weft("apply", "-f", str(folder / "more.yaml"), "--wait")
    for name in machines:
        lab.weft("vm", "start", name)


def test_4_c5_a_vlan_is_left_and_its_machines_keep_addresses_and_connection(lab, tmp_path):
    """Between two hosts, and the VLAN beside it, with the same addresses, stays where it is."""
    lab.weft("vm", "migrate", "shop2", "--to", "host2")
    before = {name: (mac_of(lab, f"{name}-eth0"), inside(lab, name)) for name in ("shop1", "shop2")}
    takes = lab.begin("exec", "shop2", "--", sys.executable, "-c", TAKES)
    assert takes.stdout.readline() == "ready\n"
    command = lab.command("exec", "shop1", "--", sys.executable, "-c", ASKS)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=lab.environment, text=True, **pipes) as asks:

        def answers(word):
            asks.stdin.write(f"{word}\n")
            asks.stdin.flush()
            return asks.stdout.readline() == f"10.1.1.11 {word}\n"

        assert answers("vlan")
        folder = tmp_path / "leaving"
        lab.weft("leave-vlans", "shops", "--provider", "hnvpa", "-o", str(folder))
        lab.weft("apply", "-f", str(folder / "00-networks.yaml"), "--wait")
        assert answers("prepared")
        [step] = folder.glob("001-*.yaml")
        for file, tunnelled in ((step, True), (folder / "back" / step.name, False)):
            lab.weft("apply", "-f", str(file), "--wait")
            assert answers("forth" if tunnelled else "back")
            said = lab.weft("trace", "shop1-eth0", "10.1.1.12")
            assert ("VLAN 20" in said) != tunnelled, said
            for name in ("shop1", "desk1"):
                assert ping(lab, name, "10.1.1.12") == "20 sent, 20 received"
            assert {name: (mac_of(lab, f"{name}-eth0"), inside(lab, name)) for name in before} == before
        asks.stdin.close()
    takes.kill()


def inside(lab, machine):
    """The addresses that the machine itself has; since when its interface is there, as it was not made anew."""
    (link,) = json.loads(lab.run("exec", machine, "--", "ip", "-j", "addr", "show", "dev", "eth0"))
    return link["ifindex"], sorted((one["local"], one["prefixlen"]) for one in link["addr_info"])


def changed(folder):
    """The virtual network alone, over VXLAN."""
    text = (EXAMPLES / "vlans.yaml").read_text()
    [network] = [one for one in text.split("\n---\n") if "kind: virtualNetworks\nresourceId: blue\n" in one]
    file = folder / "blue.yaml"
    file.write_text(network.replace("properties:\n", "properties:\n  networkVirtualizationProtocol: VXLAN\n", 1))
    return file
