"""Machines that boot, under libvirt and QEMU, go back to checkpoints, are cloned and exported, and outlive their
libvirtd: story 2.4 as a user meets it.

host1's machines are namespaces, host2 and host3 have libvirtd, on two provider subnets.
"""

import pytest

from tests.e2e.booted import answers, booting, console, machine, moved, told_by_dhcp, virsh
from tests.e2e.labs import EXAMPLES, mac_of, ping
from tests.waiting import until
from weft.lab import libvirtd

FILE = str(EXAMPLES / "booted-guests.yaml")
pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(libvirtd.missing()), reason=libvirtd.missing() or "-"),
]


@pytest.mark.soak
def test_2_4_a_rollback_behind_our_back_brings_a_kept_address_back_without_a_reboot(shared, tmp_path):
    lab = shared
    disk = f"{tmp_path / 'desk1.qcow2'},size=1GiB"
    lab.weft(
        "vm", "create", "desk1", "--server", "host2", "--network", "blue/web", *booting("10.1.1.31"), "--disk", disk
    )
    answers(lab, "peer", "10.1.1.31")
    first = mac_of(lab, "desk1-eth0")
    virsh(lab, "host2", "snapshot-create-as", "desk1", "logon")
    taken = console(lab, "host2", "desk1").seconds
    # the snapshot goes along, though libvirt moves no domain that has one
    lab.weft("vm", "migrate", "desk1", "--to", "host3")
    moved(lab, "desk1")
    assert virsh(lab, "host3", "snapshot-list", "desk1", "--name") == "logon"
    lab.weft("vm", "renew-mac", "desk1", "--force", "-y")
    answers(lab, "peer", "10.1.1.31")
    second = mac_of(lab, "desk1-eth0")
    assert console(lab, "host3", "desk1").mac == second != first
    lab.weft("vm", "create", "other", "--server", "host2", "--network", "blue/web", *booting("10.1.1.32"), "--no-start")
    assert mac_of(lab, "other-eth0") not in (first, second), "the address in the snapshot is held for it"
    virsh(lab, "host3", "snapshot-revert", "desk1", "logon")
    answers(lab, "peer", "10.1.1.31")
    said = console(lab, "host3", "desk1")
    assert said.mac == first == mac_of(lab, "desk1-eth0")
    assert said.seconds >= taken, "its memory is the snapshot's, and it was not restarted"
    assert first not in lab.weft("conflicts")
    for name in ("desk1", "other"):
        lab.weft("vm", "delete", name, "-y")
    assert not (tmp_path / "desk1.qcow2").exists()


@pytest.mark.soak
def test_checkpoint_restore_after_a_renewal_clone_and_export_are_done_by_the_hypervisor(shared, tmp_path):
    lab = shared
    disk = f"{tmp_path / 'app1.qcow2'},size=1GiB"
    lab.weft(
        "vm", "create", "app1", "--server", "host2", "--network", "blue/web", *booting("10.1.1.41"), "--disk", disk
    )
    answers(lab, "peer", "10.1.1.41")
    first = mac_of(lab, "app1-eth0")
    lab.weft("vm", "checkpoint", "app1", "before")
    taken = console(lab, "host2", "app1").seconds
    assert virsh(lab, "host2", "snapshot-list", "app1", "--name") == "before"
    lab.weft("vm", "renew-mac", "app1", "--force", "-y")
    answers(lab, "peer", "10.1.1.41")
    assert console(lab, "host2", "app1").mac == mac_of(lab, "app1-eth0") != first
    lab.weft("vm", "restore", "app1", "before")
    answers(lab, "peer", "10.1.1.41")
    said = console(lab, "host2", "app1")
    assert said.mac == first == mac_of(lab, "app1-eth0")
    assert said.seconds >= taken, "it goes on where the checkpoint was taken"
    lab.weft("vm", "stop", "app1")
    lab.weft("vm", "clone", "app1", "app2")
    until((tmp_path / "app2.qcow2").exists, "its host makes it once it hears of it", 60)
    second = mac_of(lab, "app2-eth0")
    assert second != first and second.lower() in virsh(lab, "host2", "dumpxml", "app2").replace(":", "")
    lab.weft("vm", "start", "app2")
    assert console(lab, "host2", "app2").mac == second
    lab.weft("vm", "export", "app1", "friday", "--path", str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["app1.qcow2", "domain.xml"]
    for name in ("app1", "app2"):
        lab.weft("vm", "delete", name, "-y")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_libvirtd_that_is_killed_leaves_its_machines_and_status_says_how_it_comes_back(shared):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    host = machine(lab, "web1")["server"]["resourceRef"].rpartition("/")[2]
    before = console(lab, host, "web1").seconds
    assert lab.run("kill", "libvirtd", host).strip() == f"libvirtd of {host}: killed"
    assert f"libvirtd dead (weft lab --name {lab.name} start libvirtd {host})" in lab.run("status")
    assert "no libvirtd; with one: host2, host3" in lab.run("start", "libvirtd", "host1", code=1)
    assert ping(lab, "peer", "10.1.1.21") == "20 sent, 20 received"
    assert lab.run("start", "libvirtd", host).strip() == f"libvirtd of {host}: started"
    assert lab.run("start", "libvirtd", host).strip() == f"libvirtd of {host}: was running"
    assert "dead" not in lab.run("status") and f"booted on {host}" in lab.run("status")
    assert virsh(lab, host, "domstate", "web1") == "running"
    assert console(lab, host, "web1").seconds >= before, "it was not restarted"


def test_a_booted_machine_asks_for_its_address_by_dhcp(shared):
    lab = shared
    made = ("vm", "create", "asks", "--server", "host2", "--network", "blue/web")
    lab.weft(*made, *booting("10.1.1.61", dhcp=True))
    answers(lab, "peer", "10.1.1.61")
    assert told_by_dhcp(lab, "host2", "asks") == ("10.1.1.61/24", "10.1.1.1", "1458", "")
    lab.weft("vm", "delete", "asks", "-y")
