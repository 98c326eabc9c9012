"""What booted guests are made of: the archive that Linux unpacks, and the words on its command line."""

import subprocess

import pytest

from weft.cli.files import parse_stream
from weft.lab.booted import ASKS, Address, arguments, machines
from weft.lab.cpio import Entry, archive


def test_an_archive_is_what_cpio_reads(tmp_path):
    if subprocess.run(["sh", "-c", "command -v busybox"], capture_output=True).returncode:
        pytest.skip("needs busybox, whose cpio reads it")
    content = archive(
        [Entry("bin"), Entry("bin/tool", b"#!/bin/sh\n", 0o755), Entry("odd", b"abc"), Entry("none", b"")]
    )
    command = ["busybox", "cpio", "-idm"]
    subprocess.run(command, input=content, cwd=tmp_path, check=True, capture_output=True)
    found = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode for path in tmp_path.rglob("*")}
    assert found == {"bin": 0o040755, "bin/tool": 0o100755, "odd": 0o100644, "none": 0o100644}
    assert (tmp_path / "odd").read_bytes() == b"abc" and (tmp_path / "none").read_bytes() == b""


def test_each_interface_with_an_address_is_told_it():
    said = arguments([Address("10.1.1.11/24", "10.1.1.1"), None, Address("10.1.2.7/16", "10.1.0.1")])
    assert "weft.eth0=10.1.1.11/24,10.1.1.1 weft.eth2=10.1.2.7/16,10.1.0.1" in said
    assert "eth1" not in said


def test_an_interface_may_ask():
    assert arguments([ASKS]).endswith(" weft.eth0=dhcp")


def test_machines_on_booting_hosts_without_hardware_are_the_labs():
    head = "kind: virtualMachines\nresourceId: {}\nproperties: {{server: {{resourceRef: /servers/{}}}{}}}\n---\n"
    text = "".join(
        head.format(name, host, more)
        for name, host, more in (("a", "HOST2", ""), ("b", "host1", ""), ("c", "host2", ", hardware: {cpu: 2}"))
    )
    resources = parse_stream(text, "lab.yaml").resources
    assert [one.id for one in machines(resources, ["host2"])] == ["a"]
