"""The whole life of machines from the command line, against a whole controller."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Weft
from weft.cli.actions import Action, Ask, NotAll, each, troubles
from weft.cli.show import Format
from weft.model.errors import WaitTimedOut

pytestmark = pytest.mark.usefixtures("cluster")


def said(weft: Weft, *words: str, stdin: str | None = None) -> str:
    """Standard output of a command that did it."""
    result = weft(*words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def found(weft: Weft, *words: str) -> Any:
    return json.loads(said(weft, *words, "-o", "json"))


def mac_of(weft: Weft, nic: str) -> str:
    return str(found(weft, "nic", "show", nic)["properties"]["privateMacAddress"])


def state_of(weft: Weft, address: str) -> str:
    return str(found(weft, "address", "show", address)["value"][0]["state"])


def head_of(weft: Weft) -> int:
    """The last revision."""
    return int(found(weft, "host", "state", "host1")["revision"])


def test_a_clone_has_addresses_of_its_own(weft: Weft) -> None:
    shown = said(weft, "vm", "clone", "web1", "web2", "--to", "host2").splitlines()[1].split()
    assert shown[:4] == ["web2", "Off", "host2", "web2-eth0"]
    assert mac_of(weft, "web1-eth0") != mac_of(weft, "web2-eth0")


def test_a_twin_cannot_run_beside_the_other(weft: Weft) -> None:
    said(weft, "vm", "clone", "web1", "standby", "--keep-addresses")
    assert mac_of(weft, "web1-eth0") == mac_of(weft, "standby-eth0")
    said(weft, "vm", "start", "web1")
    refused = weft("vm", "start", "standby")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("weft: ActiveTwin: ") and "web1" in refused.stderr
    assert refused.stderr.endswith("hint: stop the other machine first: weft vm stop NAME\n")
    said(weft, "vm", "stop", "web1")
    assert "Running" in said(weft, "vm", "start", "standby")


def test_a_template_holds_no_address_and_makes_machines(weft: Weft) -> None:
    said(weft, "vm", "clone", "web1", "gold", "--template")
    listed = said(weft, "vm", "list").splitlines()
    assert "NETWORKS" in listed[0] and "Template" in listed[1] and "blue/web" in listed[1]
    refused = weft("vm", "start", "gold")
    assert "hint: make a machine of it: weft vm clone TEMPLATE NAME" in refused.stderr
    assert "web3-eth0" in said(weft, "vm", "clone", "gold", "web3")


def test_a_machine_is_made_as_a_whole(weft: Weft) -> None:
    words = ("vm", "create", "web7", "--server", "host2", "--network", "blue/web", "--network", "blue/web")
    more = ("--ip", "-", "--ip", "10.1.1.70", "--cpu", "2", "--memory", "2GiB", "--disk", "/vm/a.qcow2,size=20GiB")
    before = head_of(weft)
    said(weft, *words, *more, "--dry-run")
    assert head_of(weft) == before
    made = found(weft, *words, *more)["properties"]
    assert made["powerState"] == "Running"
    hardware = made["hardware"]
    assert (hardware["cpu"], hardware["memoryMiB"]) == (2, 2048)
    assert hardware["disks"] == [{"path": "/vm/a.qcow2", "sizeGib": 20, "source": ""}]
    assert "10.1.1.70" in said(weft, "nic", "show", "web7-eth1")
    # the same again shows it; another one under its name is refused
    assert found(weft, *words, *more)["properties"]["networkInterfaces"] == made["networkInterfaces"]
    assert "AlreadyExists" in weft(*words).stderr
    asked = weft("vm", "delete", "web7")
    assert asked.exit_code == 2 and "; it runs; " in asked.stderr and "made for it" in asked.stderr
    assert "/vm/a.qcow2" in asked.stderr
    kept = weft("vm", "delete", "web7", "--interfaces", "--keep-disks", "--yes")
    assert kept.exit_code == 0 and "/vm/a.qcow2" not in kept.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--network", "blue/web"), "--server HOST, or a cluster"),
        (("--server", "host1", "--cluster", "c1"), "--server HOST, or a cluster"),
        (("--server", "host1", "--network", "blue/web", "--ip", "10.1.1.5", "--ip", "10.1.1.6"), "one adapter"),
        (("--server", "host1", "--disk", "/a.qcow2,size=20MiB"), "whole GiB"),
        (("--server", "host1", "--disk", "/a.qcow2,colour=red"), "neither size=20GiB nor source=PATH"),
        (("--server", "host1", "--memory", "much"), "no size"),
        (("--server", "host1", "--memory", "0"), "needs some"),
        (("--server", "host1", "--cpu", "0"), "--cpu"),
        (("--server", "host1", "--network", "blue/web", "--mac", "01"), "MAC address"),
    ],
)
def test_words_that_make_no_machine(weft: Weft, words: tuple[str, ...], why: str) -> None:
    result = weft("vm", "create", "web7", *words)
    assert result.exit_code == 2 and why in result.stderr, result.output


def test_what_cannot_be_is_refused_before_anybody_is_asked(weft: Weft) -> None:
    said(weft, "vm", "import", "old", "--to", "host1", "--id", "5eed", "--mac", "00-15-5D-01-02-03")
    said(weft, "vm", "start", "old")
    for words in (("delete", "old"), ("renew-mac", "old")):
        refused = weft("vm", *words)
        assert refused.exit_code == 1 and refused.stderr.startswith("weft: MachineIsRunning: ")
        assert "--force" in refused.stderr and "Go on?" not in refused.stderr
    assert "it runs, and its host may let it run on" in weft("vm", "delete", "old", "--force").stderr
    assert "old-eth0 deleted" in said(weft, "vm", "delete", "old", "--interfaces", "--force", "--yes")


def test_save_and_resume(weft: Weft) -> None:
    said(weft, "vm", "start", "web1")
    assert "Saved" in said(weft, "vm", "save", "web1")
    assert "Running" in said(weft, "vm", "start", "web1")


def test_a_dry_run_of_an_action_keeps_nothing(weft: Weft) -> None:
    before = head_of(weft)
    for words in (
        ("start", "web1"),
        ("clone", "web1", "web2"),
        ("checkpoint", "web1", "c"),
        ("export", "web1", "e"),
        ("renew-mac", "web1"),
        ("delete", "web1", "--interfaces"),
        ("failover", "web1", "--to", "host2"),
        ("import", "x", "--subnet", "blue/web", "--addresses", "new"),
    ):
        result = weft("vm", *words, "--dry-run")
        assert result.exit_code == 0, (words, result.output)
        assert result.stdout.splitlines()[0].split() == ["ACTION", "WHAT", "CHANGE"], words
        assert result.stderr == "dry run, nothing was changed\n"
        assert found(weft, "vm", *words, "--dry-run")["dryRun"] is True
    assert head_of(weft) == before


def test_checkpoint_and_restore(weft: Weft) -> None:
    old = mac_of(weft, "web1-eth0")
    assert "web1-eth0" in said(weft, "vm", "checkpoint", "web1", "before")
    said(weft, "vm", "renew-mac", "web1", "--yes")
    new = mac_of(weft, "web1-eth0")
    assert new != old and state_of(weft, old) == "retained"
    assert found(weft, "vm", "checkpoints", "web1")[0]["resourceId"] == "before"
    assert said(weft, "get", "checkpoints", "--of", "vm/web1", "-o", "name") == "before\n"
    for words, then in ((("--dry-run",), new), (("--keep",), new), ((), old)):
        lines = said(weft, "vm", "restore", "web1", "before", *words).splitlines()
        assert lines[0].split() == ["INTERFACE", "FROM", "TO", "OUTCOME"]
        assert lines[1].split()[0] == "web1-eth0"
        assert lines[1].split()[-1] == ("kept" if words == ("--keep",) else "restored")
        assert mac_of(weft, "web1-eth0") == then, words
    asked = weft("vm", "delete-checkpoint", "web1", "before", stdin="n\n")
    assert (asked.exit_code, found(weft, "vm", "checkpoints", "web1") != []) == (1, True)
    assert said(weft, "vm", "delete-checkpoint", "web1", "before", stdin="y\n") == (
        "virtualMachines/web1/checkpoints/before deleted\n"
    )
    assert found(weft, "vm", "checkpoints", "web1") == []


def test_a_hypervisors_machine_is_taken_in_by_its_id(weft: Weft) -> None:
    words = ("vm", "import", "copy", "--to", "host2", "--id", "d7c8e9b5", "--subnet", "blue/web", "--addresses", "new")
    said(weft, *words)
    assert found(weft, "get", "virtualMachines", "copy")["properties"]["hypervisor"]["id"] == "d7c8e9b5"
    again = weft("vm", "import", "copy2", *words[3:])
    assert again.exit_code == 1 and "/weft/virtualMachines/copy already" in again.stderr


def test_addresses_that_another_has_are_refused_or_mapped_to_new_ones(weft: Weft) -> None:
    said(weft, "vm", "checkpoint", "web1", "before")
    said(weft, "vm", "export", "web1", "e")
    said(weft, "vm", "renew-mac", "web1", "--yes")
    said(weft, "vm", "start", "web1")
    old = found(weft, "vm", "checkpoints", "web1")[0]["properties"]["networkInterfaces"][0]["macAddress"]
    said(weft, "vm", "import", "other", "--to", "host2", "--mac", old, "--subnet", "blue/web")
    said(weft, "vm", "start", "other")
    refused = weft("vm", "restore", "web1", "before")
    assert (refused.exit_code, refused.stderr.split(":")[1]) == (1, " AddressesTaken"), refused.stderr
    assert "other" in refused.stderr and "hint: see what would become of each: --dry-run" in refused.stderr
    lines = said(weft, "vm", "restore", "web1", "before", "--if-taken", "remap").splitlines()
    assert lines[1].split()[-1] == "remapped"
    assert mac_of(weft, "web1-eth0") != old.replace("-", "")


def test_many_machines_come_back_in_one_revision(weft: Weft, tmp_path: Path) -> None:
    said(weft, "vm", "clone", "web1", "web2")
    said(weft, "vm", "clone", "web1", "web3")
    for name in ("web1", "web2"):
        said(weft, "vm", "checkpoint", name, "logon")
        said(weft, "vm", "renew-mac", name, "--yes")
    before = head_of(weft)
    lines = said(weft, "vm", "restore", "--all-with", "LOGON", "--dry-run").splitlines()
    assert [line.split()[0] for line in lines] == ["INTERFACE", "web1-eth0", "web2-eth0"]
    assert head_of(weft) == before
    result = weft("vm", "restore", "--all-with", "logon")
    assert (result.exit_code, result.stderr) == (0, "2 machines restored, in one revision\n"), result.output
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:]] == ["restored", "restored"]
    assert head_of(weft) == before + 1
    # one that has none refuses all
    names = tmp_path / "names"
    names.write_text("web2  # the second\n\nweb3\n")
    refused = weft("vm", "restore", "--all-with", "logon", "--names", str(names))
    assert (refused.exit_code, "web3" in refused.stderr) == (1, True), refused.output
    assert head_of(weft) == before + 1
    assert len(said(weft, "vm", "restore", "--all-with", "logon", "web2").splitlines()) == 2
    assert "no machine has a checkpoint" in weft("vm", "restore", "--all-with", "nope").stderr


@pytest.mark.parametrize("words", [(), ("web1",), ("web1", "a", "b"), ("web1", "a", "--names", "f")])
def test_restore_of_what(weft: Weft, words: tuple[str, ...]) -> None:
    result = weft("vm", "restore", *words)
    assert (result.exit_code, "name a machine and its checkpoint" in result.stderr) == (2, True), result.output


def test_an_export_outlives_its_machine_and_comes_back(weft: Weft) -> None:
    mac = mac_of(weft, "web1-eth0")
    assert "friday" in said(weft, "vm", "export", "web1", "friday")
    asked = weft("vm", "delete", "web1", "--interfaces", stdin="y\n")
    assert asked.exit_code == 0, asked.output
    assert asked.stdout.splitlines() == ["virtualMachines/web1 deleted", "networkInterfaces/web1-eth0 deleted"]
    assert "which give their addresses back: web1-eth0" in asked.stderr
    assert state_of(weft, mac) == "retained"
    held = found(weft, "vm", "exports", "web1")[0]["properties"]["networkInterfaces"][0]
    back = found(
        weft, "vm", "import", "web1", "--to", "host1", "--mac", held["macAddress"],
        "--ip", held["ipAddresses"][0]["privateIPAddress"], "--subnet", "blue/web",
    )  # fmt: skip
    assert back["properties"]["powerState"] == "Off"
    assert mac_of(weft, "web1-eth0") == mac
    assert weft("vm", "delete-export", "web1", "friday").exit_code == 2  # nobody is there to say yes
    assert "deleted" in said(weft, "vm", "delete-export", "web1", "friday", "--yes")
    assert found(weft, "vm", "exports", "web1") == []


MACHINES = """\
resourceId: old1
server: {resourceRef: /servers/host1}
networkInterfaces:
- {macAddress: 00155E030501, ipAddresses: [10.1.1.91], subnet: {resourceRef: /virtualNetworks/blue/subnets/web}}
---
resourceId: old2
server: {resourceRef: /servers/host2}
networkInterfaces:
- {macAddress: 101010101105, subnet: {resourceRef: /virtualNetworks/blue/subnets/web}}
"""


def test_a_file_of_machines_is_taken_in_whole(weft: Weft) -> None:
    shown = said(weft, "vm", "import", "-f", "-", stdin=MACHINES).splitlines()
    assert [line.split()[0] for line in shown] == ["NAME", "old1", "old2"]
    assert mac_of(weft, "old1-eth0") == "00155E030501"
    assert mac_of(weft, "old2-eth0") == "101010101105"
    refused = weft("vm", "import", "-f", "-", stdin=MACHINES.replace("old1", "new1"))
    assert refused.exit_code == 1
    assert weft("get", "vm", "new1").exit_code == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give either NAME"),
        (("x", "-f", "f"), "give either NAME"),
        (("x", "--mac", "nonsense"), "'nonsense'"),
        (("x", "--mac", "00-15-5D-00-00-01", "--subnet", "a/b", "--subnet", "a/c"), "2 adapters"),
        (("-f", "/nonexistent"), "/nonexistent cannot be read"),
    ],
)
def test_imports_that_make_no_sense(weft: Weft, words: tuple[str, ...], why: str) -> None:
    result = weft("vm", "import", *words)
    assert (result.exit_code, why in result.stderr) == (2, True), result.output


def test_failover_of_one_and_of_all(weft: Weft) -> None:
    said(weft, "vm", "clone", "web1", "web2")
    said(weft, "vm", "clone", "web1", "gold", "--template", "--to", "host2")
    assert "host2" in said(weft, "vm", "failover", "web1", "--to", "host2")
    lines = said(weft, "vm", "failover", "--from", "host2", "--to", "host1").splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["web1", "Off", "host1"]]
    result = weft("vm", "failover", "--from", "host1", "--to", "nowhere")
    assert result.exit_code == 1
    assert "web1: " in result.stderr and "web2: " in result.stderr
    assert "no machine is on host2" in weft("vm", "failover", "--from", "host2", "--to", "host1").stderr
    assert weft("vm", "failover", "--to", "host1").exit_code == 2
    assert weft("vm", "failover", "web1", "--from", "host1", "--to", "host2").exit_code == 2


def test_a_new_mac_is_asked_for_first(weft: Weft) -> None:
    old = mac_of(weft, "web1-eth0")
    said(weft, "vm", "checkpoint", "web1", "before")
    said(weft, "vm", "start", "web1")
    asked = weft("vm", "renew-mac", "web1", "--force", stdin="n\n")
    assert (asked.exit_code, mac_of(weft, "web1-eth0")) == (1, old)
    dashes = "-".join(old[i : i + 2] for i in range(0, 12, 2))
    for text in (f"web1-eth0 gives up {dashes}", "DHCP reservations", "it runs:", f"checkpoints before keep {dashes}"):
        assert text in asked.stderr
    refused = weft("vm", "renew-mac", "web1", "--yes")
    assert "MachineIsRunning" in refused.stderr and "hint: stop it first: weft vm stop NAME" in refused.stderr
    shown = said(weft, "vm", "renew-mac", "web1", "--yes", "--force", "--mac", "02:aa:00:00:00:01")
    assert "02-AA-00-00-00-01" in shown
    assert weft("vm", "renew-mac", "web1", "--mac", "zz", "--yes").exit_code == 2


def test_which_interface_is_meant(weft: Weft) -> None:
    said(weft, "nic", "create", "web1-eth1", "--subnet", "blue/web")
    two = "kind: virtualMachines\nresourceId: web1\nproperties:\n  server: {resourceRef: /servers/host1}\n"
    refs = ("/networkInterfaces/web1-eth0", "/networkInterfaces/web1-eth1")
    two += f"  networkInterfaces: [{', '.join(f'{{resourceRef: {ref}}}' for ref in refs)}]\n"
    said(weft, "apply", "-f", "-", stdin=two)
    result = weft("vm", "renew-mac", "web1", "--yes")
    assert (result.exit_code, "web1-eth0, web1-eth1; choose one with --nic" in result.stderr) == (2, True)
    assert "web1-eth1" in said(weft, "vm", "renew-mac", "web1", "--nic", "web1-eth1", "--yes")


async def test_a_host_that_is_late_with_one_machine_does_not_keep_the_others_back() -> None:
    """Of a dead host's fifty machines the first may take its time."""
    asked: list[str] = []

    class Late:
        async def post(self, path: str, body: Any, write: Any) -> Any:
            asked.append(path)
            raise WaitTimedOut(f"{path} is not up yet")

    actions = [Action(name, "failover", {}) for name in ("web1", "web2")]
    with pytest.raises(NotAll) as lagging:
        await each(Late(), actions, Ask(Format.table, ""))
    assert len(asked) == 2
    assert (lagging.value.code, lagging.value.status) == ("HostsLag", 504)


def test_what_a_host_lacks_for_a_machine_that_it_started_is_said() -> None:
    lacking = {"status": "Failure", "detailedInfo": [{"message": "provider address 192.168.1.10 is another's already"}]}
    assert troubles({"properties": {"configurationState": lacking}}) == [lacking["detailedInfo"][0]["message"]]
    fine = {"status": "Success", "detailedInfo": []}
    assert troubles({"properties": {"configurationState": fine}}) == troubles({"properties": {}}) == []
    assert troubles({"dryRun": True, "changes": []}) == []
