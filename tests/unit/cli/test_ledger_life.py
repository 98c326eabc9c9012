"""Pools, reservations, single addresses, conflicts and hosts' ranges from the command line, against a controller."""

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Weft

pytestmark = pytest.mark.usefixtures("cluster")

PLANNED = """\
kind: addressPlans
resourceId: hyperv
properties: {prefix: 00-15-5D, clusterDigits: 2, hostDigits: 1, interfaceDigits: 3}
---
kind: servers
resourceId: host3
properties:
  providerAddresses: [192.168.1.13]
  addressPlan: {resourceRef: /weft/addressPlans/hyperv}
  clusterNumber: 3
  hostGroup: rack4
---
kind: servers
resourceId: host4
properties:
  providerAddresses: [192.168.1.14]
  dynamicMacRange: {first: 00-15-5D-03-00-00, last: 00-15-5D-03-00-FF}
"""


def said(weft: Weft, *words: str, stdin: str | None = None) -> str:
    """Standard output of a command that did it."""
    result = weft(*words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def found(weft: Weft, *words: str) -> Any:
    return json.loads(said(weft, *words, "-o", "json"))


def cell(text: str, line: int, head: str) -> str:
    """A table's cell: columns begin where their heads do."""
    lines = text.splitlines()
    start = lines[0].index(head)
    return lines[line][start:].split("  ")[0].strip()


def test_usage_tells_how_long_it_lasts_and_when_to_make_room(weft: Weft) -> None:
    table = said(weft, "pool", "usage", "pool1")
    assert table.splitlines()[0].split()[-3:] == ["DAYS", "LEFT", "WARNING"]
    assert (cell(table, 1, "DAYS LEFT"), cell(table, 1, "WARNING")) == ("-", "-")
    said(weft, "pool", "reserve", "pool1", "--count", "220")
    assert cell(said(weft, "pool", "usage", "pool1"), 1, "WARNING") == "yes"


def test_a_drained_pool_gives_nothing(weft: Weft) -> None:
    assert cell(said(weft, "pool", "drain", "pool1"), 1, "DRAIN") == "yes"
    refused = weft("nic", "create", "n1", "--subnet", "blue/web")
    assert (refused.exit_code, "drain" in refused.stderr.lower()) == (1, True), refused.stderr
    reserved = weft("pool", "reserve", "pool1", "--count", "1")
    assert "hint: let it give again: weft pool drain POOL off" in reserved.stderr, reserved.stderr
    before = found(weft, "get", "macPools", "pool1")
    assert weft("pool", "drain", "pool1", "off", "--dry-run").exit_code == 0
    assert found(weft, "get", "macPools", "pool1") == before
    assert "DRAIN" not in said(weft, "pool", "drain", "pool1", "off")
    said(weft, "nic", "create", "n1", "--subnet", "blue/web")
    of_a_network = "logicalNetworks/hnvpa/subnets/pa1/ipPools/p1"
    assert found(weft, "pool", "drain", of_a_network)["properties"]["drain"] is True
    assert weft("pool", "drain", "blue/web").exit_code == 2


def test_reservations(weft: Weft) -> None:
    words = ("pool", "reserve", "pool1", "--count", "4", "--contiguous", "--purpose", "rack 4", "--request-id", "r4")
    first = found(weft, *words, "--for", "2h")
    assert first["properties"]["until"] == "2023-11-15T00:13:20Z"
    assert found(weft, *words, "--for", "2h")["properties"]["addresses"] == first["properties"]["addresses"]
    shown = said(weft, "pool", "reservations", "list")
    assert cell(shown, 1, "PURPOSE") == "rack 4" and "(4)" in cell(shown, 1, "ADDRESSES")
    assert said(weft, "get", "reservations") == shown
    assert found(weft, "pool", "reservations", "list", "--pool", "blue/web") == []
    assert len(found(weft, "pool", "reservations", "list", "--pool", "POOL1")) == 1
    assert "rack 4" in said(weft, "pool", "addresses", "pool1", "--state", "reserved")
    name = first["resourceId"]
    asked = weft("pool", "reservations", "delete", name, stdin="n\n")
    assert (asked.exit_code, "held for: rack 4" in asked.stderr) == (1, True)
    assert said(weft, "pool", "reservations", "delete", name, "--yes") == f"reservations/{name} deleted\n"
    assert found(weft, "get", "reservations") == []


def test_a_block_that_is_not_there(weft: Weft) -> None:
    refused = weft("pool", "reserve", "pool1", "--count", "300", "--contiguous")
    assert refused.exit_code == 1
    assert "hint: ask for fewer, or without --contiguous" in refused.stderr, refused.stderr


@pytest.mark.parametrize(
    "words", [("--for", "soon"), ("--for", "2h", "--until", "2030-01-01T00:00:00Z"), ("--for", "-1d")]
)
def test_reservations_that_make_no_sense(weft: Weft, words: tuple[str, ...]) -> None:
    assert weft("pool", "reserve", "pool1", "--count", "1", *words).exit_code == 2


def test_an_address_is_released_early_and_says_why(weft: Weft) -> None:
    said(weft, "nic", "create", "n1", "--subnet", "blue/web", "--mac", "00-1D-D8-B7-1C-77")
    said(weft, "delete", "nics", "n1")
    assert cell(said(weft, "address", "show", "00:1d:d8:b7:1c:77"), 1, "STATE") == "cooling"
    dry = weft("address", "release", "001dd8b71c77", "--reason", "tables cleared", "--dry-run")
    assert (dry.exit_code, "cooling -> free" in dry.stdout) == (0, True), dry.output
    shown = said(weft, "address", "release", "001dd8b71c77", "--reason", "tables cleared")
    assert cell(shown, 1, "STATE") == "free"
    assert "tables cleared" in shown
    assert said(weft, "address", "00-1D-D8-B7-1C-77") == said(weft, "address", "show", "00-1D-D8-B7-1C-77")
    refused = weft("address", "release", "001dd8b71c00", "--reason", "I want it")
    assert refused.stderr.endswith("hint: see who has it: weft address show ADDRESS\n"), refused.stderr


RED = """\
kind: virtualNetworks
resourceId: red
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/hnvpa}
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets: [{resourceId: web, properties: {addressPrefix: 10.1.1.0/24}}]
"""


def test_of_two_tenants_one_is_named(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=RED)
    for network in ("blue", "red"):
        said(weft, "nic", "create", "n1", "--subnet", f"{network}/web", "--ip", "10.1.1.77")
        said(weft, "delete", "nics", "n1")
    words = ("address", "release", "10.1.1.77", "--reason", "moved")
    refused = weft(*words)
    assert (refused.exit_code, "hint: say which one: --network NAME" in refused.stderr) == (1, True), refused.stderr
    said(weft, *words, "--network", "red")
    states = [place["state"] for place in found(weft, "address", "show", "10.1.1.77")["value"]]
    assert states == ["cooling", "free"]


def test_a_removed_host_leaves_inactive_addresses(weft: Weft) -> None:
    mac = found(weft, "nic", "show", "web1-eth0")["properties"]["privateMacAddress"]
    assert weft("host", "remove", "host1").exit_code == 1
    dry = said(weft, "host", "remove", "host1", "--force", "--dry-run")
    assert "virtualMachines/web1" in dry
    asked = weft("host", "remove", "host1", "--force", stdin="no\n")
    assert (asked.exit_code, "inactive: web1" in asked.stderr) == (1, True)
    assert said(weft, "host", "remove", "host1", "--force", stdin="y\n") == "servers/host1 deleted\n"
    assert "INACTIVE" in said(weft, "vm", "list")
    assert "web1-eth0 (inactive)" in said(weft, "address", "show", mac)
    gone = weft("address", "release", mac, "--reason", "it will not come back", stdin="y\n")
    assert gone.exit_code == 0, gone.output
    assert "deletes networkInterfaces/web1-eth0" in gone.stderr
    assert found(weft, "get", "vms") == []


def test_a_machine_of_a_removed_host_goes_on_elsewhere(weft: Weft) -> None:
    said(weft, "host", "remove", "host1", "--force", "--yes")
    assert weft("vm", "start", "web1").exit_code == 1
    assert "INACTIVE" not in said(weft, "vm", "failover", "web1", "--to", "host2")
    assert "Running" in said(weft, "vm", "start", "web1")


def test_a_hosts_range_and_how_to_set_it(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=PLANNED)
    assert "nothing changed" in said(weft, "apply", "-f", "-", stdin=PLANNED)
    shown = said(weft, "host", "range", "host3").splitlines()
    assert shown[-1] == (
        "Set-VMHost -ComputerName 'host3' -MacAddressMinimum 00155D030000 -MacAddressMaximum 00155D030FFF"
    )
    assert found(weft, "host", "range", "host3")["macRange"]["last"] == "00-15-5D-03-0F-FF"
    assert "Set-VMHost" not in said(weft, "host", "range", "host4")
    usage = said(weft, "pool", "usage")
    assert "servers/host3/macRange" in usage
    assert found(weft, "pool", "usage", "servers/host3/macrange")["capacity"] == 4096
    assert "00155Dcchiii" in said(weft, "get", "addressPlans")


def test_conflicts(weft: Weft) -> None:
    assert said(weft, "conflicts") == "no conflicts\n"
    assert found(weft, "conflicts") == []
    said(weft, "apply", "-f", "-", stdin=PLANNED)
    shown = said(weft, "conflicts")
    assert shown.splitlines()[0].split() == ["ADDRESS", "KIND", "DOMAIN", "HOLDERS", "REMEDY"]
    assert cell(shown, 1, "KIND") == "rangeOverlap"
    assert "host3" in shown and "host4" in shown
    assert found(weft, "conflicts")[0]["kind"] == "rangeOverlap"


def test_what_get_prints_of_the_new_kinds_can_be_applied(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=PLANNED)
    said(weft, "vm", "clone", "web1", "gold", "--template")
    said(weft, "vm", "checkpoint", "web1", "c")
    for kind in ("addressPlans", "servers", "macPools", "virtualMachines", "networkInterfaces"):
        text = said(weft, "get", kind, "-o", "yaml")
        shown = said(weft, "apply", "-f", "-", stdin=text).splitlines()[-1]
        assert shown.startswith("nothing changed"), (kind, shown)
    refused = weft("apply", "-f", "-", stdin=said(weft, "get", "checkpoints", "--of", "vm/web1", "-o", "yaml"))
    assert (refused.exit_code, "weft vm checkpoint NAME CHECKPOINT" in refused.stderr) == (2, True)
    assert said(weft, "delete", "virtualMachines/web1/checkpoints/c") == "virtualMachines/web1/checkpoints/c deleted\n"
