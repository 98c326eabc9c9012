"""The lab as a user meets it: up, interrupted, changed, down. Real namespaces and Open vSwitch."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.booted import machine
from tests.e2e.labs import EXAMPLES, last_line, namespaces, ping, processes, standing_still
from tests.waiting import until
from weft.lab import namespaces as namespaces_of_the_lab
from weft.lab.capture import frame, packets
from weft.lab.processes import alive, spawn
from weft.lab.state import LabFolder
from weft.lab.up import bring_down

pytestmark = pytest.mark.root
TWO_TENANTS = str(EXAMPLES / "two-tenants.yaml")
THREE_HOSTS = str(EXAMPLES / "three-hosts.yaml")


def test_up_ping_exec_host_status_down(lab):
    said = lab.run("up", TWO_TENANTS)
    assert f"lab '{lab.name}' is up: http://127.0.0.1:" in said
    assert namespaces(lab.name) == sorted(
        f"{lab.name}-{one}"
        for one in ("@plugs", "@router", "host1", "host2", "blue1", "blue2", "bluedb", "red1", "red2")
    )
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"
    assert last_line(lab.run("ping", "red1", "10.1.1.200", "-c", "2", "-i", "0.1", code=1)) == "2 sent, 0 received"
    begun = lab.begin("ping", "blue1", "10.1.1.12", "-c", "500", "-i", "0.05")
    assert begun.stdout.readline().startswith("PING ") and "icmp_seq=1" in begun.stdout.readline()
    begun.send_signal(signal.SIGINT)
    sent, received = re.findall(r"\d+", last_line(begun.communicate(timeout=30)[0]))
    # one may be under way
    assert (begun.returncode, int(sent) - int(received) <= 1, int(sent) < 500) == (130, True, True)
    assert "10.1.1.11/24" in lab.run("exec", "blue1", "--", "ip", "addr", "show", "dev", "eth0")
    assert "Bridge br-int" in lab.run("host", "host1", "--", "ovs-vsctl", "show")
    assert "Datapath actions" in lab.run("host", "host1", "--", "ovs-appctl", "ofproto/trace", "br-int", "in_port=1")
    assert re.search(r"machine +red2 +running on host2", lab.run("status"))
    assert last_line(lab.run("down")) == f"lab '{lab.name}': gone"
    assert namespaces(lab.name) == [] and processes(f"/{lab.name}/") == []
    assert last_line(lab.run("down")) == f"lab '{lab.name}': was not up"


def test_a_worksheet_comes_to_a_lab_in_which_both_tenants_are_alone(lab, tmp_path):
    file = tmp_path / "tenants.yaml"
    plan = [sys.executable, "-m", "weft", "plan", str(EXAMPLES / "worksheet.csv"), "-o", str(file)]
    subprocess.run(plan, check=True, capture_output=True)
    lab.run("up", str(file))
    assert ping(lab, "BlueVM1", "10.1.1.12") == "20 sent, 20 received"
    assert ping(lab, "RedVM2", "10.1.1.11") == "20 sent, 20 received"
    lab.weft("vm", "stop", "RedVM2")
    assert last_line(lab.run("ping", "RedVM1", "10.1.1.12", "-c", "2", "-i", "0.1", code=1)) == "2 sent, 0 received"


def test_a_stranger_namespace_is_left_alone(lab, stranger):
    said = lab.run("up", TWO_TENANTS, code=1)
    assert f"ip netns del {stranger}" in said and "--name" in said
    lab.run("down")
    assert namespaces(lab.name) == [stranger]


@pytest.fixture
def stranger(lab):
    import os
    import subprocess

    from tests.e2e.labs import PATH

    name, environment = f"{lab.name}-host1", {**os.environ, "PATH": PATH}
    subprocess.run(["ip", "netns", "add", name], check=True, env=environment)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True, env=environment)


def test_an_up_that_was_interrupted_can_be_taken_down_or_finished(lab):
    for seconds in (0.4, 1.2, 2.0):
        begun = lab.begin("up", TWO_TENANTS)
        time.sleep(seconds)
        begun.send_signal(signal.SIGKILL)
        begun.communicate(timeout=30)
    lab.run("up", TWO_TENANTS)
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"


def test_up_waits_for_machines_that_an_interrupted_command_has_begun_to_start(lab):
    lab.run("up", TWO_TENANTS)
    lab.weft("vm", "stop", "blue1")
    with standing_still(lab, "host1"):
        starting = lab.begin_weft("vm", "start", "blue1")
        until(lambda: machine(lab, "blue1")["powerState"] == "Running")
        starting.kill()
        up = lab.begin("up", TWO_TENANTS)
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(3)
    assert up.wait(60) == 0
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"


def test_down_waits_for_what_is_still_being_made(lab, folder):
    """An agent's command, alive for a moment longer than its agent, makes a guest."""
    place = LabFolder(folder / lab.name)
    place.create()
    guest = shlex.join(namespaces_of_the_lab.making(lab.name, f"{lab.name}-late", {"net.ipv4.ip_forward": 0}))
    maker = spawn(["sh", "-c", f"(sleep 0.4; {guest}) & sleep 0.05"], place.log("agent-0"))
    while alive(maker):
        pass
    bring_down(place)
    time.sleep(0.8)
    assert namespaces(lab.name) == [] and processes(f"{lab.name}-late") == []


def test_a_bad_file_makes_nothing(lab, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: lab/host\nresourceId: host1\nproperties: {providerAddress: 192.168.1.10}\n")
    assert f"{bad}:1: lab/host host1: providerAddress" in lab.run("up", str(bad), code=1)
    assert namespaces(lab.name) == []


def test_an_up_that_ends_half_way_says_how_to_go_on(lab, tmp_path):
    text = (EXAMPLES / "single-host.yaml").read_text()
    file, full = tmp_path / "lab.yaml", tmp_path / "full.yaml"
    last = "00-1D-D8-B7-1C-FF"
    assert last in text
    file.write_text(text)
    full.write_text(text.replace(last, "00-1D-D8-B7-1C-00"))
    on = f"weft lab: lab '{lab.name}' is only part of what the file says: weft lab --name {lab.name} up FILE goes on"
    said = lab.run("up", str(full), code=1)
    assert "No address is free in /macPools/pool1" in said and on in last_line(said)
    assert "only part" not in lab.run("up", str(tmp_path / "none.yaml"), code=1)
    assert "is up: " in last_line(lab.run("up", str(file)))
    lab.run("down")
    begun = lab.begin("up", str(file), stderr=subprocess.PIPE)
    assert begun.stdout.readline().startswith("controller: ")
    begun.send_signal(signal.SIGINT)
    _, errors = begun.communicate(timeout=60)
    assert (begun.returncode, errors.splitlines()[0], on in errors) == (130, "weft lab: interrupted", True)
    lab.run("up", str(file))


def test_names_that_are_not_there_are_said_plainly(lab):
    assert f"No lab '{lab.name}' is up" in lab.run("url", code=1)
    assert f"No lab '{lab.name}' is up" in lab.run("kill", "controller", code=1)
    lab.run("up", str(EXAMPLES / "single-host.yaml"))
    assert "No host 'host9'" in lab.run("kill", "agent", "host9", code=1)
    assert "host1 has no libvirtd; with one: none" in lab.run("kill", "libvirtd", "host1", code=1)
    assert "controller, agent HOST, switch HOST or libvirtd HOST" in lab.run("kill", "router", code=1)
    assert "running: app1, app2" in lab.run("exec", "app9", "--", "true", code=1)
    assert "3 received" in last_line(lab.run("ping", "app1", "10.1.1.5", "-i", "0.05"))


def test_up_of_a_changed_file_changes_the_guests(lab, tmp_path):
    first, changed = tmp_path / "first.yaml", tmp_path / "changed.yaml"
    text = (EXAMPLES / "two-tenants.yaml").read_text()
    first.write_text(text)
    lab.run("up", str(first))
    link = lab.run("exec", "blue1", "--", "ip", "link", "show", "dev", "eth0")
    own = "resourceId: red\nproperties:\n"
    assert own in text
    text = text.replace(own, f"{own}  networkVirtualizationProtocol: VXLAN\n")
    documents = text.replace("10.1.1.11", "10.1.1.77", 1).split("\n---\n")
    kept = [bluedb_off(document) for document in documents if "resourceId: red2\n" not in document]
    assert len(kept) == len(documents) - 1
    changed.write_text("\n---\n".join(kept))
    said = lab.run("up", str(changed))
    assert "machines restarted, since their interfaces changed: blue1\n" in said
    assert "machines stopped, since the file says Off: bluedb\n" in said
    assert "not in the file, left as they are: machines red2 (" in said
    inside = lab.run("exec", "blue1", "--", "ip", "addr", "show", "dev", "eth0")
    assert "10.1.1.77/24" in inside and "10.1.1.11/" not in inside
    [mac] = re.findall(r"link/ether (\S+)", link)
    assert mac in inside, "a MAC address is its interface's for life"
    assert re.search(r"machine +bluedb +off", lab.run("status"))
    assert ping(lab, "blue1", "10.1.1.12") == "20 sent, 20 received"
    assert ping(lab, "red1", "10.1.1.12") == "20 sent, 20 received", "VXLAN beside the others' NVGRE"
    again = lab.run("up", str(changed))
    assert "restarted" not in again and "stopped" not in again and "machines red2 (" in again


def bluedb_off(document):
    if "kind: virtualMachines" in document and "resourceId: bluedb\n" in document:
        return document.replace("properties:\n", "properties:\n  powerState: Off\n")
    return document


def packet_sockets(lab, host):
    """How many there are, the switch's own included."""
    return len(lab.run("host", host, "--", "cat", "/proc/net/packet").splitlines())


def test_an_interface_s_packets_are_captured_on_its_host(lab, tmp_path):
    lab.run("up", TWO_TENANTS)
    pinging = lab.begin("ping", "blue1", "10.1.1.12", "-c", "10000", "-i", "0.05")
    file = tmp_path / "blue2.pcap"
    lab.weft("capture", "blue2-eth0", "-w", str(file), "-c", "6", "--filter", "icmp", "--seconds", "60")
    found = [frame(each) for each in packets(file.read_bytes())]
    assert {(one.source, one.destination) for one in found} == {("10.1.1.11", "10.1.1.12"), ("10.1.1.12", "10.1.1.11")}
    assert len(found) == 6
    # who follows goes, and the agent's socket goes with him
    following = [sys.executable, "-m", "weft", "capture", "blue2-eth0", "-w", str(file), "--seconds", "600"]
    before = packet_sockets(lab, "host2")
    url = json.loads(lab.file.read_text())["url"]
    follower = subprocess.Popen(following, env={**lab.environment, "WEFT_CONTROLLER": url}, stderr=subprocess.DEVNULL)
    until(lambda: packet_sockets(lab, "host2") != before)
    follower.kill()
    follower.wait()
    until(lambda: packet_sockets(lab, "host2") == before)
    pinging.kill()
