"""Moves of booted machines again and again, and with an agent that dies in the middle. Minutes: only in `make soak`."""

import subprocess
import sys
import time

import pytest

from tests.e2e.booted import Pinging, answers, console, downtime_s, virsh
from tests.e2e.labs import EXAMPLES, ping
from tests.e2e.test_booted import mac_of, machine
from weft.lab import libvirtd

FILE = str(EXAMPLES / "booted-guests.yaml")
pytestmark = [
    pytest.mark.root,
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(libvirtd.missing()), reason=libvirtd.missing() or "-"),
]


def test_4_2_moves_there_and_back_lose_no_more_than_qemu_itself(shared):
    lab = shared
    answers(lab, "peer", "10.1.1.21")
    mac, rows = mac_of(lab, "web1-eth0"), []
    for _ in range(4):
        for host in ("host3", "host2"):
            pinging = Pinging(lab, "peer", "10.1.1.21", 1200)
            lab.weft("vm", "migrate", "web1", "--to", host)
            rows.append((pinging.end(), downtime_s(lab, host, "web1")))
            assert console(lab, host, "web1").mac == mac
    for silence, own in rows:
        print(f"{silence.lost} of {silence.sent} lost, silent for {silence.longest_s:.2f} s; QEMU's own: {own:.3f} s")
    assert all(silence.longest_s < own + 1.0 for silence, own in rows)


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
    until = time.monotonic() + 30
    while "web1" not in virsh(lab, "host3", "list", "--all", "--name"):
        assert time.monotonic() < until, "it does not begin to come"
        time.sleep(0.02)
    lab.run("kill", "agent", end)
    time.sleep(1)
    lab.run("start", "agent", end)
    moving.communicate(timeout=120)
    until = time.monotonic() + 60
    while machine(lab, "web1").get("move"):
        assert time.monotonic() < until, "the move does not end"
    where = machine(lab, "web1")["server"]["resourceRef"].rpartition("/")[2]
    running = [host for host in ("host2", "host3") if "web1" in virsh(lab, host, "list", "--name")]
    assert running == [where]
    assert console(lab, where, "web1").mac == mac
    assert ping(lab, "peer", "10.1.1.21") == "20 sent, 20 received"
