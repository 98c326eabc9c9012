"""Moves of booted machines again and again, and with an agent that dies in the middle; machines that come back from an
export by hand. Minutes: only in `make soak`.
"""

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.booted import answers, booting, console, machine, moved, virsh
from tests.e2e.counted_move import assert_no_packet_lost, move
from tests.e2e.labs import EXAMPLES, mac_of, ping
from tests.waiting import until
from weft.lab import libvirtd

FILE = str(EXAMPLES / "booted-guests.yaml")
pytestmark = [
    pytest.mark.root,
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(libvirtd.missing()), reason=libvirtd.missing() or "-"),
]


def test_4_2_moves_there_and_back_lose_no_packet_however_late_the_feed(shared, tmp_path):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    mac = mac_of(lab, "web1-eth0")
    for number, late_s in enumerate((0, 0.5, 1, 5)):
        source, destination = ("host2", "host3") if number % 2 == 0 else ("host3", "host2")
        assert_no_packet_lost(move(lab, tmp_path / str(number), source, destination, late_s=late_s))
        assert console(lab, destination, "web1").mac == mac


def begun(lab, *words):
    environment = {**lab.environment, "WEFT_CONTROLLER": lab.run("url").strip()}
    command = [sys.executable, "-m", "weft", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("end", ["host2", "host3"])
def test_a_move_whose_agent_dies_in_the_middle_ends_with_one_machine(shared, end):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    mac = mac_of(lab, "web1-eth0")
    moving = begun(lab, "vm", "migrate", "web1", "--to", "host3")
    until(lambda: "web1" in virsh(lab, "host3", "list", "--all", "--name"), "it does not begin to come")
    lab.run("kill", "agent", end)
    dead = "its agent is dead, and the controller does not know"
    until(lambda: not json.loads(lab.weft("host", "state", end, "-o", "json"))["connected"], dead)
    lab.run("start", "agent", end)
    moving.communicate(timeout=120)
    moved(lab, "web1")
    where = machine(lab, "web1")["server"]["resourceRef"].rpartition("/")[2]
    running = [host for host in ("host2", "host3") if "web1" in virsh(lab, host, "list", "--name")]
    assert running == [where]
    assert console(lab, where, "web1").mac == mac
    assert ping(lab, "peer", "10.1.1.21") == "20 sent, 20 received"


def defined(lab, host, folder, name, *changes):
    """Somebody defines the exported copy on a host, as a machine of its own."""
    text = (folder / "domain.xml").read_text()
    text = re.sub(r"<uuid>.*?</uuid>", "", text)
    for old, new in ((r"<name>.*?</name>", f"<name>{name}</name>"), *changes):
        text, count = re.subn(old, new, text)
        assert count, f"no {old} in {text}"
    (folder / f"{name}.xml").write_text(text)
    virsh(lab, host, "define", str(folder / f"{name}.xml"))


def taken_in(lab, host, name, *words):
    """Its host's agent tells of it within seconds."""
    named = ("vm", "import", name, "--to", host, "--existing", name)
    environment = {**lab.environment, "WEFT_CONTROLLER": json.loads(lab.file.read_text())["url"]}
    command = [sys.executable, "-m", "weft", *named, "--subnet", "blue/web", *words, "-o", "json"]

    def tried():
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        return None if "has no machine" in done.stderr else done

    done = until(tried, "its host's agent does not tell of it")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["properties"]


def interface_id(lab, name):
    return json.loads(lab.weft("get", "networkInterfaces", name, "-o", "json"))["instanceId"]


def test_x15_an_export_defined_by_hand_on_another_host_comes_back_as_itself_and_again_as_another(shared, tmp_path):
    lab, out = shared, tmp_path / "out"
    disk = f"{tmp_path / 'app1.qcow2'},size=1GiB"
    made = ("vm", "create", "app1", "--server", "host2", "--network", "blue/web")
    lab.weft(*made, *booting("10.1.1.41"), "--disk", disk, "--no-start")
    first = mac_of(lab, "app1-eth0")
    lab.weft("vm", "export", "app1", "friday", "--path", str(out))
    lab.weft("vm", "delete", "app1", "--interfaces", "-y")
    assert virsh(lab, "host2", "list", "--all", "--name") == "web1"
    # it has its address, and the interface id of an interface that is no more
    defined(lab, "host3", out, "back", (re.escape(str(tmp_path / "app1.qcow2")), str(out / "app1.qcow2")))
    back = taken_in(lab, "host3", "back", "--ip", "10.1.1.41")
    assert back["hypervisor"] == {"type": "libvirt", "id": virsh(lab, "host3", "domuuid", "back")}
    assert mac_of(lab, "back-eth0") == first
    lab.weft("vm", "start", "back")
    answers(lab, "peer", "10.1.1.41")
    assert console(lab, "host3", "back").mac == first
    assert interface_id(lab, "back-eth0") in virsh(lab, "host3", "dumpxml", "back")
    # the same copy again, on another bridge: another machine
    switch = (r"<interface type=.bridge.>(?s:.*?)</interface>", "<interface type='network'><source network='none'/>")
    address = "".join(f":{first[at : at + 2]}" for at in range(0, 12, 2))[1:].lower()
    adapter = f"{switch[1]}<mac address='{address}'/><model type='virtio'/></interface>"
    again = (re.escape("10.1.1.41"), "10.1.1.42"), (switch[0], adapter)
    defined(lab, "host3", out, "again", *again, (r"<disk type(?s:.*?)</disk>", ""))
    taken_in(lab, "host3", "again", "--addresses", "newIfTaken", "--ip", "10.1.1.42")
    second = mac_of(lab, "again-eth0")
    assert second != first
    lab.weft("vm", "start", "again")
    answers(lab, "peer", "10.1.1.42")
    assert console(lab, "host3", "again").mac == second
    assert ping(lab, "peer", "10.1.1.41") == "20 sent, 20 received"
    assert "no conflicts" in lab.weft("conflicts").lower()
    for name in ("back", "again"):
        lab.weft("vm", "stop", name)
        lab.weft("vm", "delete", name, "--interfaces", "-y")
        virsh(lab, "host3", "undefine", name)
    lab.weft("vm", "delete-export", "app1", "friday", "-y")


def test_a_domain_that_runs_is_taken_in_running_and_is_in_its_network_at_once(shared, tmp_path):
    lab = shared
    made = ("vm", "create", "gone", "--server", "host2", "--network", "blue/web")
    lab.weft(*made, *booting("10.1.1.51"), "--no-start")
    (tmp_path / "domain.xml").write_text(virsh(lab, "host2", "dumpxml", "gone"))
    lab.weft("vm", "delete", "gone", "--interfaces", "-y")
    mac, address = "020000005101", (r"mac address='[^']*'", "mac address='02:00:00:00:51:01'")
    defined(
        lab,
        "host3",
        tmp_path,
        "stray",
        address,
        (re.escape("10.1.1.51"), "10.1.1.52"),
        (r"(?s:<metadata.*?</metadata>)", ""),
    )
    virsh(lab, "host3", "start", "stray")
    up = console(lab, "host3", "stray")
    assert taken_in(lab, "host3", "stray", "--ip", "10.1.1.52")["powerState"] == "Running"
    assert (mac_of(lab, "stray-eth0"), up.mac) == (mac, mac)
    until(lambda: console(lab, "host3", "stray").seconds not in (up.seconds, up.seconds + 1), "it stands still")
    assert console(lab, "host3", "stray").seconds > up.seconds, "it goes on"
    # without a restart it is in its network: its port bears an interface id that is nobody's, and says whose it is
    answers(lab, "peer", "10.1.1.52")
    assert interface_id(lab, "stray-eth0") not in virsh(lab, "host3", "dumpxml", "stray")
    until(lambda: "no conflicts" in lab.weft("conflicts").lower(), lambda: lab.weft("conflicts"))
    lab.weft("vm", "stop", "stray")
    lab.weft("vm", "start", "stray")
    answers(lab, "peer", "10.1.1.52")
    assert interface_id(lab, "stray-eth0") in virsh(lab, "host3", "dumpxml", "stray")
    assert console(lab, "host3", "stray").mac == mac
    assert "no conflicts" in lab.weft("conflicts").lower()
    lab.weft("vm", "stop", "stray")
    lab.weft("vm", "delete", "stray", "--interfaces", "-y")
    virsh(lab, "host3", "undefine", "stray")
