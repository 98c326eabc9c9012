"""Files that are applied to a whole controller, and taken away again."""

import json
from pathlib import Path

from tests.unit.cli.conftest import CLUSTER, Weft


def revision(weft: Weft) -> str:
    """Etags of all resources: nothing was written where they are equal."""
    return "".join(weft("get", kind, "-o", "json").stdout for kind in ("virtualNetworks", "networkInterfaces", "vms"))


def test_dry_run_shows_the_plan_and_changes_nothing(tmp_path: Path, weft: Weft) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    result = weft("apply", "-f", str(path), "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "dry run, nothing was changed; would be 7 created, 1 changed, 0 unchanged"
    assert json.loads(weft("get", "virtualNetworks", "-o", "json").stdout) == []


def test_applied_twice_the_second_time_changes_nothing(cluster: Path, weft: Weft) -> None:
    before = revision(weft)
    result = weft("apply", "-f", str(cluster))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (
        0,
        "nothing changed: 8 resources are as the file says",
    )
    assert revision(weft) == before


def test_a_change_names_its_members(cluster: Path, weft: Weft) -> None:
    text = CLUSTER.replace("addressPrefixes: [10.1.0.0/16]", "addressPrefixes: [10.1.0.0/16, 10.2.0.0/16]")
    result = weft("apply", "-f", "-", stdin=text)
    assert result.exit_code == 0, result.output
    assert "addressSpace/addressPrefixes: 10.1.0.0/16 -> 10.1.0.0/16, 10.2.0.0/16" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 created, 1 changed, 7 unchanged"


def test_a_change_from_nothing_says_so(cluster: Path, weft: Weft) -> None:
    server = "kind: servers\nresourceId: host1\nproperties: {providerAddressPolicy: perVirtualSubnet}\n"
    result = weft("apply", "-f", "-", "--dry-run", stdin=server)
    assert "providerAddressPolicy: (none) -> perVirtualSubnet" in result.stdout, result.output


def test_what_get_prints_as_yaml_can_be_applied(cluster: Path, weft: Weft) -> None:
    kinds = ("virtualNetworkManager", "macPools", "logicalNetworks", "servers", "virtualNetworks", "nics", "vms")
    for kind in kinds:
        text = weft("get", kind, "-o", "yaml").stdout
        result = weft("apply", "-f", "-", stdin=text)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[-1].startswith("nothing changed"), (kind, result.stdout)


def test_faults_and_dangling_references_apply_nothing(weft: Weft) -> None:
    result = weft(
        "apply",
        "-f",
        "-",
        stdin=CLUSTER.replace("/virtualNetworks/blue/subnets/web", "/virtualNetworks/blue/subnets/wbe"),
    )
    assert result.exit_code == 2
    assert result.stderr == (
        "stdin:19: /virtualNetworks/blue/subnets/wbe is neither in the file nor on the controller; "
        "did you mean /virtualNetworks/blue/subnets/web?\nweft: BadFile: 1 fault; nothing was applied\n"
    )
    assert json.loads(weft("get", "macPools", "-o", "json").stdout) == []


def test_a_subnet_on_the_controller_that_was_meant(cluster: Path, weft: Weft) -> None:
    more = CLUSTER.partition("kind: networkInterfaces")[2].partition("---")[0].replace("subnets/web", "subnets/wbe")
    result = weft("apply", "-f", "-", stdin=f"kind: networkInterfaces{more}")
    assert "did you mean /virtualNetworks/blue/subnets/web?" in result.stderr, result.stderr


def test_what_was_meant_is_of_the_same_kind(weft: Weft) -> None:
    text = CLUSTER.replace("resourceRef: /logicalNetworks/hnvpa", "resourceRef: /logicalNetworks/blue")
    result = weft("apply", "-f", "-", stdin=text)
    assert "stdin:24: /logicalNetworks/blue is neither" in result.stderr
    assert "did you mean /logicalNetworks/hnvpa?" in result.stderr


def test_all_faults_at_once_also_with_those_that_need_the_controller(weft: Weft) -> None:
    text = CLUSTER.replace("10.1.1.0/24", "10.1.1.5/24").replace("/servers/host1", "/servers/host9")
    text = text.replace("kind: logicalNetworks", "kind: logicalNetwork").replace("B7-1C-FF}", "B7-1C-XX}")
    result = weft("apply", "-f", "-", stdin=text)
    assert (result.exit_code, [line.split(";")[0] for line in result.stderr.splitlines()]) == (
        2,
        [
            "stdin:3: '00-1D-D8-B7-1C-XX' is not a MAC address",
            "stdin:8: /servers/host9 is neither in the file nor on the controller",
            "stdin:28: '10.1.1.5/24' is not a prefix",
            "stdin:30: unknown kind 'logicalNetwork'",
            "weft: BadFile: 4 faults",
        ],
    )


def test_a_refusal_of_the_controller_is_brought_back_to_its_line(cluster: Path, weft: Weft) -> None:
    more = """\
kind: networkInterfaces
resourceId: ok
properties: {privateMacAllocationMethod: Dynamic}
---
kind: networkInterfaces
resourceId: group
properties:
  privateMacAllocationMethod: Static
  privateMacAddress: 01-00-5E-00-00-01
"""
    before = revision(weft)
    result = weft("apply", "-f", "-", stdin=more)
    assert result.exit_code == 1
    assert result.stderr.startswith("weft: InvalidPrivateMacAddress: stdin:9: networkInterfaces/group: ")
    assert revision(weft) == before


def test_a_file_that_has_a_running_machine_elsewhere_moves_it(cluster: Path, weft: Weft) -> None:
    weft("vm", "start", "web1")
    assert weft("vm", "migrate", "web1", "--to", "host2").exit_code == 0
    more = cluster.read_text() + EXTRA_POOL
    shown = weft("apply", "-f", "-", "--dry-run", stdin=more)
    assert shown.exit_code == 0, shown.output
    assert "move       virtualMachines/web1                 server/resourceRef: /servers/host2 -> /servers/host1" in (
        shown.stdout.splitlines()
    )
    assert shown.stdout.endswith("would be 1 created, 0 changed, 1 moved, 7 unchanged\n")
    assert weft("vm", "list", "--server", "host2", "-o", "name").stdout == "web1\n"
    applied = weft("apply", "-f", "-", stdin=more)
    assert applied.exit_code == 0, applied.output
    assert weft("vm", "list", "--server", "host1", "-o", "name").stdout == "web1\n"
    assert weft("apply", "-f", "-", stdin=more).stdout.startswith("ACTION")
    assert "nothing changed" in weft("apply", "-f", "-", stdin=more).stdout


EXTRA_POOL = """\
---
kind: macPools
resourceId: pool2
properties: {startMacAddress: 00-1D-D8-B7-1D-00, endMacAddress: 00-1D-D8-B7-1D-FF}
"""


def test_a_machine_that_moves_takes_its_other_changes_along(cluster: Path, weft: Weft) -> None:
    weft("vm", "start", "web1")
    text = CLUSTER.replace("/servers/host1}", "/servers/host2}")
    text = text.replace("resourceId: web1\n", "resourceId: web1\ntags: {role: web}\n")
    result = weft("apply", "-f", "-", stdin=text)
    assert result.exit_code == 0, result.output
    machine = json.loads(weft("get", "vms", "web1", "-o", "json").stdout)
    assert (machine["tags"], machine["properties"]["server"]) == ({"role": "web"}, {"resourceRef": "/servers/host2"})


def test_a_move_that_is_refused_is_named_with_its_line_and_all_else_is_applied(weft: Weft) -> None:
    full = CLUSTER.replace("endIpAddress: 192.168.1.250", "endIpAddress: 192.168.1.10")
    # made before there is a pool, so it has no provider address, and later there is none left
    assert weft("apply", "-f", "-", stdin="{kind: servers, resourceId: host2, properties: {}}").exit_code == 0
    assert weft("apply", "-f", "-", stdin=full).exit_code == 0
    weft("vm", "start", "web1")
    moved = full.replace("/servers/host1}", "/servers/host2}") + EXTRA_POOL
    for words in (("--dry-run",), ()):
        result = weft("apply", "-f", "-", *words, stdin=moved)
        assert result.exit_code == 1, result.output
        first, *more = result.stderr.splitlines()
        assert ": stdin:8: virtualMachines/web1: /servers/host2 needs a provider address." in first
        assert more == ["these machines run where they were; everything else of the file is applied"] * (not words)
    assert weft("get", "macPools", "pool2", "-o", "name").stdout == "pool2\n"
    assert weft("vm", "list", "--server", "host1", "-o", "name").stdout == "web1\n"


def test_delete_of_a_file_in_the_order_of_references(cluster: Path, weft: Weft) -> None:
    result = weft("delete", "-f", str(cluster))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "virtualMachines/web1 deleted"
    assert json.loads(weft("get", "logicalNetworks", "-o", "json").stdout) == []
    again = weft("delete", "-f", str(cluster))
    assert (again.exit_code, again.stdout.splitlines()[0]) == (0, "virtualMachines/web1 was not there")
