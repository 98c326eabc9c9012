"""What a command behind `weft lab host` finds of its host: that one's libvirt, never this machine's."""

import pytest
from typer.testing import CliRunner

from weft.__main__ import commands
from weft.lab.hosts import words_environment
from weft.lab.state import HostState, LabFolder


def agent(tmp_path, hypervisor, *words):
    environment = words_environment(LabFolder(tmp_path), HostState("Host2", 1, "10.0.0.2/24", hypervisor=hypervisor))
    return CliRunner().invoke(commands("agent"), ["agent", *words], env=environment)


def test_the_hook_goes_to_the_hosts_own_libvirt(tmp_path):
    hook = tmp_path / "v" / "1" / "etc" / "hooks" / "qemu.d" / "weft"
    assert f"would write {hook}" in agent(tmp_path, "libvirt", "install", "--dry-run").stdout
    assert agent(tmp_path, "libvirt", "install").exit_code == 0
    assert str(tmp_path / "a" / "1" / "hook.sock") in hook.read_text()
    assert agent(tmp_path, "libvirt", "uninstall").stdout == f"removed {hook}\n"


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_host_without_libvirt_does_not_get_at_this_machines(tmp_path, verb):
    refused = agent(tmp_path, "lab", verb, "--dry-run")
    assert (refused.exit_code, "Host2 is a host of a lab" in refused.stderr) == (1, True)
    assert agent(tmp_path, "lab", verb, "--dry-run", "--hooks", str(tmp_path)).exit_code == 0
