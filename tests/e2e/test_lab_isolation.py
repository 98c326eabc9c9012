"""Isolation kinds beside each other on real hosts: VLANs of the physical network, and virtual networks."""

import re

import pytest

from tests.e2e.labs import EXAMPLES, mac_of, ping
from tests.e2e.matrix import Matrix

pytestmark = pytest.mark.root


def test_vlans_beside_virtual_networks(lab, tmp_path):
    lab.run("up", str(EXAMPLES / "vlans.yaml"))
    for tenant in ("shop", "desk", "blue", "green"):
        assert ping(lab, f"{tenant}1", "10.1.1.12") == "20 sent, 20 received"
        neighbours = lab.run("exec", f"{tenant}1", "--", "ip", "neigh").replace(":", "").upper()
        assert mac_of(lab, f"{tenant}2-eth0") in neighbours, "its own, of four machines with that address"
    with Matrix(lab) as matrix:
        matrix.honest()
        assert matrix.guests_lie() > 2000
    moving = lab.begin("ping", "shop1", "10.1.1.12", "-c", "200", "-i", "0.01")
    lab.weft("vm", "migrate", "shop2", "--to", "host1")
    said = moving.communicate(timeout=30)[0]
    [received] = re.findall(r"200 sent, (\d+) received", said)
    assert int(received) >= 198, said
    assert ping(lab, "desk1", "10.1.1.12") == "20 sent, 20 received"
    lab.weft("vm", "migrate", "green2", "--to", "host1")
    lab.weft("vm", "migrate", "green2", "--to", "host2")
    assert ping(lab, "green1", "10.1.1.12") == "20 sent, 20 received", "rewritten for another provider address"
    # the tunnel kind of a network that is in use
    moving = lab.begin("ping", "blue1", "10.1.1.12", "-c", "200", "-i", "0.01")
    lab.weft("apply", "-f", str(changed(tmp_path)))
    [received] = re.findall(r"200 sent, (\d+) received", moving.communicate(timeout=30)[0])
    assert int(received) >= 190
    for host in ("host1", "host2"):
        assert "weft-vxlan" in lab.run("host", host, "--", "ovs-vsctl", "list-ports", "br-int")


def changed(folder):
    """The virtual network alone, over VXLAN."""
    text = (EXAMPLES / "vlans.yaml").read_text()
    [network] = [one for one in text.split("\n---\n") if "kind: virtualNetworks\nresourceId: blue\n" in one]
    file = folder / "blue.yaml"
    file.write_text(network.replace("properties:\n", "properties:\n  networkVirtualizationProtocol: VXLAN\n", 1))
    return file
