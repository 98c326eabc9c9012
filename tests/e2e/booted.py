"""Looks at booted guests from outside: their console, their libvirtd, and what QEMU says of a migration."""

import json
import os
import re
import subprocess
import time

import msgspec

from tests.e2e.labs import PATH
from tests.waiting import until
from weft.lab import hosts
from weft.lab.booted import ASKS, Address, arguments
from weft.lab.guest_image import MEMORY_MIB, guest_image
from weft.lab.state import LabFolder


def folder(lab):
    return LabFolder(lab.folder / lab.name)


def uri(lab, host):
    found = folder(lab)
    return hosts.libvirt_daemon(found, found.host(host)).uri


def virsh(lab, host, *words):
    """As somebody does who knows nothing of Weft."""
    command = ["virsh", "-q", "-c", uri(lab, host), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": PATH})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


def machine(lab, name):
    return json.loads(lab.weft("get", "virtualMachines", name, "-o", "json"))["properties"]


def moved(lab, name):
    """A move answers when the machine is there; this waits until its peers know, before which nothing else begins."""
    until(lambda: not machine(lab, name).get("move"), "the move does not end")


def booting(address, *, dhcp=False):
    """Words for `weft vm create`: the lab's guest with this address, or one that asks for it."""
    image = guest_image()
    given = ASKS if dhcp else Address(f"{address}/24", "10.1.1.1")
    words = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--memory", f"{MEMORY_MIB}MiB"]
    return [*words, "--kernel-arguments", arguments([given]), "--ip", address]


class Said(msgspec.Struct, frozen=True):
    """What a guest says of itself on its console."""

    mac: str
    """As the API writes it."""
    seconds: int
    """Since it booted."""


def console(lab, host, machine, patience=60.0):
    """The newest that it says of eth0; it says it every second."""
    mac, seconds = _said(lab, host, machine, r"weft eth0 (\S+) up (\d+)\r", patience)
    return Said(mac.replace(":", "").upper(), int(seconds))


def told_by_dhcp(lab, host, machine, patience=60.0):
    """(Address and length, gateway, MTU, DNS servers) of eth0, once it has been told."""
    return _said(lab, host, machine, r"weft told eth0 (\S+) by (\S+) mtu (\d+) dns ?(.*?)\r", patience)


def _said(lab, host, machine, words, patience):
    terminal = os.open(virsh(lab, host, "ttyconsole", machine), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    text, end = "", time.monotonic() + patience
    try:
        while time.monotonic() < end:
            try:
                text += os.read(terminal, 65536).decode(errors="replace")
            except BlockingIOError:
                if found := re.findall(words, text):
                    return found[-1]
            time.sleep(0.1)
    finally:
        os.close(terminal)
    raise AssertionError(f"{machine} says nothing of eth0: {text[-500:]!r}")


def answers(lab, machine, address, patience=120.0):
    """Wait until `address` answers the namespace guest `machine`: it has booted."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        pinging = lab.begin("ping", machine, address, "-c", "1")
        said = pinging.communicate(timeout=30)[0]
        if pinging.returncode == 0:
            return
    raise AssertionError(f"{address} does not answer {machine} within {patience:g} s: {said}")


def downtime_s(lab, host, machine):
    """How long QEMU itself had the machine stand still in its last migration to this host, as it says."""
    said = virsh(lab, host, "domjobinfo", "--completed", machine)
    return int(re.search(r"Total downtime:\s+(\d+)\s+ms", said)[1]) / 1000
