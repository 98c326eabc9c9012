"""Bodies of actions are read exactly: known members in any case, everything else refused by name."""

from typing import Any

import pytest

from weft.api.actions import ACTIONS, check_batched, place_of_action, understand
from weft.api.call import encode
from weft.api.faults import UnknownPath
from weft.core import commands, copy_commands
from weft.model.errors import Invalid
from weft.model.workload import HypervisorIdentity


def read(verb: str, body: Any, machine: str = "web1") -> Any:
    return understand(machine, verb, encode(body)).command


NIC = {"resourceRef": "/networkInterfaces/web1-eth0"}


@pytest.mark.parametrize(
    ("verb", "body", "command"),
    [
        ("START", {}, commands.SetPower("web1", "Running")),
        ("migrate", {"Server": "/servers/h2", "FORCE": "true"}, commands.BeginMove("web1", "h2", True)),
        ("migrate", {"server": {"ResourceRef": "/Servers/h2"}}, commands.BeginMove("web1", "h2")),
        ("failover", {"server": "h2"}, commands.Failover("web1", "h2")),
        ("clone", {"RESOURCEID": "web2"}, copy_commands.Clone("web1", "web2")),
        (
            "clone",
            {"resourceId": "t", "isTemplate": "True", "server": "h2", "addresses": "KEEP"},
            copy_commands.Clone("web1", "t", "keep", "h2", True),
        ),
        ("checkpoint", {"resourceId": "before"}, copy_commands.TakeCheckpoint("web1", "before")),
        ("export", {"resourceId": "e"}, copy_commands.ExportMachine("web1", "e")),
        ("restore", {"checkpoint": "before"}, copy_commands.Restore("web1", "before")),
        (
            "restore",
            {"checkpoint": "before", "addresses": "keep", "iftaken": "REMAP", "dryRun": 0},
            copy_commands.Restore("web1", "before", "keep", "remap"),
        ),
        ("renewmac", {"networkInterface": NIC}, commands.RenewMac("web1", "web1-eth0")),
        (
            "renewMac",
            {"networkInterface": "web1-eth0", "macAddress": "001dd8b71c00", "force": True},
            commands.RenewMac("web1", "web1-eth0", "001dd8b71c00", True),
        ),
    ],
)
def test_what_is_asked(verb: str, body: Any, command: Any) -> None:
    assert read(verb, body) == command


@pytest.mark.parametrize(
    ("verb", "body", "machine"),
    [
        ("checkpoint", {"resourceId": "weft.restart-under-way"}, "web1"),
        ("export", {"resourceId": "WEFT.x"}, "web1"),
        ("import", {"resourceId": "old", "checkpoints": [{"resourceId": "weft.y"}]}, ""),
    ],
)
def test_the_controllers_own_names_are_no_clients(verb: str, body: Any, machine: str) -> None:
    with pytest.raises(Invalid, match="controller's own") as refused:
        read(verb, body, machine)
    assert (refused.value.code, refused.value.target) == ("InvalidResourceName", "resourceId")
    assert read("checkpoint", {"resourceId": "weft"}) == copy_commands.TakeCheckpoint("web1", "weft")


def test_an_import_with_all_its_members() -> None:
    body = {
        "resourceId": "old",
        "server": {"resourceRef": "/servers/h1"},
        "networkInterfaces": [
            {"macAddress": "00:15:5d:00:00:01", "ipAddresses": ["10.1.1.5"], "subnet": {"resourceRef": "/a/b"}},
            {},
        ],
        "addresses": "newiftaken",
        "powerState": "running",
        "checkpoints": [{"resourceId": "c", "networkInterfaces": [{"macAddress": "00155D000002"}]}],
        "adopt": True,
        "hypervisor": {"type": "libvirt", "id": "ID-1"},
    }
    imported = copy_commands.ImportedInterface
    assert read("import", body, "") == copy_commands.ImportMachine(
        name="old",
        server="h1",
        interfaces=(imported("00:15:5d:00:00:01", ("10.1.1.5",), "/a/b"), imported()),
        addresses="newIfTaken",
        power="Running",
        checkpoints=(copy_commands.ImportedCheckpoint("c", (imported("00155D000002"),)),),
        adopt=True,
        hypervisor=HypervisorIdentity(type="libvirt", id="ID-1"),
    )


@pytest.mark.parametrize(
    ("verb", "body", "target", "said"),
    [
        ("start", {"fast": True}, "fast", "known members: none"),
        ("clone", {"resourceId": "x", "adresses": "keep"}, "adresses", "resourceId, addresses, server, isTemplate"),
        ("clone", {}, "resourceId", "is missing"),
        ("clone", {"resourceId": ""}, "resourceId", "is missing"),
        ("clone", {"resourceId": None}, "resourceId", "is missing"),
        ("clone", {"resourceId": "x", "addresses": "some"}, "addresses", "new, keep"),
        ("clone", {"resourceId": "x", "isTemplate": "perhaps"}, "isTemplate", "true or false"),
        ("clone", {"resourceId": "x", "server": "/networkInterfaces/h"}, "server", "/servers/ID"),
        ("clone", {"resourceId": "x", "server": 5}, "server", "a reference"),
        ("clone", {"resourceId": ["x"]}, "resourceId", "must be text"),
        ("restore", {"checkpoint": "c", "ifTaken": "steal"}, "ifTaken", "refuse, remap"),
        ("restore", {"checkpoint": "c", "dryRun": "so"}, "dryRun", "true or false"),
        ("renewMac", {"networkInterface": NIC, "macAddress": "00-15"}, "macAddress", "six octets"),
        ("renewMac", {"networkInterface": "/servers/h1"}, "networkInterface", "/networkInterfaces/ID"),
        ("failover", {"fenced": True}, "server", "is missing"),
    ],
)
def test_what_is_wrong_is_named(verb: str, body: Any, target: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(verb, body)
    assert caught.value.target == target
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"networkInterfaces": [{}, {"mac": "x"}]}, "networkInterfaces[1].mac"),
        ({"networkInterfaces": [{"macAddress": "x"}]}, "networkInterfaces[0].macAddress"),
        ({"checkpoints": [{"networkInterfaces": []}]}, "checkpoints[0].resourceId"),
        ({"hypervisor": {"type": "libvirt"}}, "hypervisor.id"),
        ({"hypervisor": {"id": "i", "uuid": "i"}}, "hypervisor.uuid"),
        (
            {"checkpoints": [{"resourceId": "c", "networkInterfaces": [{"macAddress": "x"}]}]},
            "checkpoints[0].networkInterfaces[0].macAddress",
        ),
    ],
)
def test_what_is_wrong_inside_an_import_is_named(body: Any, target: str) -> None:
    with pytest.raises(Invalid) as caught:
        read("import", {"resourceId": "x", **body}, "")
    assert caught.value.target == target


@pytest.mark.parametrize(("machine", "verb"), [("web1", "import"), ("web1", "dance"), ("", "clone")])
def test_an_action_that_is_not_there(machine: str, verb: str) -> None:
    with pytest.raises(UnknownPath, match="Served: "):
        understand(machine, verb, b"")


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("POST", "virtualMachines/IMPORT", ("", "IMPORT")),
        ("GET", "virtualMachines/import", None),
        ("POST", "virtualMachines/web1", None),
        ("GET", "virtualMachines/web1/start", ("web1", "start")),
        ("GET", "virtualMachines/web1/Checkpoints", None),
        ("POST", "virtualMachines/web1/exports", None),
        ("DELETE", "virtualMachines/web1/exports/e", None),
    ],
)
def test_which_paths_are_actions(method: str, path: str, found: tuple[str, str] | None) -> None:
    assert place_of_action(method, path.split("/")) == found


def test_what_waits_for_a_host_is_not_for_a_batch() -> None:
    refused = set()
    for name, action in ACTIONS.items():
        try:
            check_batched(action)
        except Invalid:
            refused.add(name)
    assert refused == {"start", "stop", "save", "migrate", "failover", "rewritecheckpoints"}
