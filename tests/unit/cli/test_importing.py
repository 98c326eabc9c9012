"""`weft import` against a whole controller: what comes in, that a second run changes nothing, how names become ids."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Weft
from tests.unit.core.audit.world import checkpoint, host, machine, nic
from weft.cli import adoption, importing
from weft.cli.adoption import Present, ids_of
from weft.core.naming import slug
from weft.model.inventory import Host, Inventory, Machine

RANGE = ("00-15-5D-01-05-00", "00-15-5D-01-05-FF")
CORP = """
kind: logicalNetworks
resourceId: corp
properties:
  subnets:
  - resourceId: web
    properties: {addressPrefix: 10.1.1.0/24, vlanID: 20}
  - resourceId: db
    properties: {addressPrefix: 10.1.2.0/24, vlanID: 30}
"""
WEB, DB = "/logicalNetworks/corp/subnets/web", "/logicalNetworks/corp/subnets/db"


@pytest.fixture
def put(tmp_path: Path) -> Any:
    def write(hosts: list[Any], machines: list[Any]) -> str:
        path = tmp_path / "inventory.json"
        path.write_text(json.dumps({"hosts": hosts, "machines": machines}))
        return str(path)

    return write


def got(weft: Weft, *words: str) -> Any:
    found = weft("get", *words, "-o", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def names(weft: Weft, kind: str) -> list[str]:
    return [each["resourceId"] for each in got(weft, kind)]


def test_hosts_machines_and_checkpoints_are_taken_in_as_they_are(weft: Weft, put: Any) -> None:
    saved = checkpoint("before", nic("00-15-5D-01-05-09"))
    file = put([host("n1", *RANGE)], [machine("web", "n1", nic("00-15-5D-01-05-07"), id="ID-1", checkpoints=[saved])])
    done = weft("import", file)
    assert done.exit_code == 0, done.output
    assert "1 server created, 1 machine adopted, 0 unchanged" in done.stdout
    assert got(weft, "servers", "n1")["properties"]["dynamicMacRange"] == {"first": RANGE[0], "last": RANGE[1]}
    web = got(weft, "virtualMachines", "web")["properties"]
    assert (web["powerState"], web["server"]) == ("Running", {"resourceRef": "/servers/n1"})
    assert web["hypervisor"] == {"type": "hyperv", "id": "ID-1"}
    assert [each["resourceId"] for each in web["checkpoints"]] == ["before"]
    assert got(weft, "nics", "web-eth0")["properties"]["privateMacAddress"] == "00155D010507"
    assert "web/checkpoints/before" in weft("address", "show", "00-15-5D-01-05-09").stdout


def test_a_second_run_changes_nothing(weft: Weft, put: Any) -> None:
    saved = checkpoint("b", nic("02-00-00-00-00-09"))
    machines = [
        machine("Web Server (1)", "n 1", nic("02-00-00-00-00-07", "static"), id="ID-1", checkpoints=[saved]),
        machine("t", "n 1", nic("02-00-00-00-00-08", "static"), power="off", isTemplate=True),
        machine("plain", "", nic("")),
    ]
    file = put([host("n 1", *RANGE)], machines)
    first = weft("import", file)
    assert first.exit_code == 0, first.output
    before = weft("get", "vms", "-o", "json").stdout + weft("get", "servers", "-o", "json").stdout
    again = weft("import", file)
    assert again.exit_code == 0
    assert "nothing changed: 4 servers and machines are there already" in again.stdout
    assert weft("get", "vms", "-o", "json").stdout + weft("get", "servers", "-o", "json").stdout == before


def test_an_interface_without_address_waits_for_its_own_host_to_draw_one(weft: Weft, put: Any) -> None:
    """Neither refused for want of a pool nor given one of ours."""
    file = put([host("n1", *RANGE)], [machine("new", "n1", nic("000000000000"), id="ID-1", power="off")])
    done = weft("import", file)
    assert done.exit_code == 0, done.output
    assert got(weft, "virtualMachines", "new")["properties"]["hypervisor"] == {"type": "hyperv", "id": "ID-1"}
    assert "privateMacAddress" not in got(weft, "nics", "new-eth0")["properties"]
    assert "nothing changed: 2 servers and machines" in weft("import", file).stdout


def test_names_that_are_no_ids_are_kept_beside_them(weft: Weft, put: Any) -> None:
    machines = [machine("Büro PC", "Host Eins", nic("02-00-00-00-00-01", "static")), machine("日本", "Host Eins")]
    assert weft("import", put([], machines)).exit_code == 0
    vms = {each["resourceId"]: each["tags"]["name"] for each in got(weft, "vms")}
    assert vms == {"Buro-PC": "Büro PC", slug("日本"): "日本"}
    (server,) = got(weft, "servers")
    assert (server["resourceId"], server["tags"]) == ("Host-Eins", {"name": "Host Eins"})


def test_machines_of_one_name_get_ids_that_do_not_depend_on_order(weft: Weft, put: Any) -> None:
    web = [machine("web", "n1", id="1"), machine("web", "n2", id="2")]
    assert weft("import", put([], web)).exit_code == 0
    first = names(weft, "vms")
    assert len(set(first)) == 2
    assert all(name.startswith("web-") for name in first)
    assert "nothing changed" in weft("import", put([], web[::-1])).stdout


def test_a_machine_keeps_the_id_of_its_first_import(weft: Weft, put: Any) -> None:
    web = machine("web", "n1", id="1")
    assert weft("import", put([], [web])).exit_code == 0
    assert weft("import", put([], [machine("web", "n2", id="2"), web])).exit_code == 0
    assert "web" in names(weft, "vms")
    assert len(names(weft, "vms")) == 2


def test_another_machine_of_that_name_comes_in_beside_the_first(weft: Weft, put: Any) -> None:
    """From another file, on another day: it is not taken for the one that is there."""
    first = put([], [machine("web", "n1", nic("02-00-00-00-00-07"), id="ID-1"), machine("db", "n1")])
    assert weft("import", first).exit_code == 0
    second = put([], [machine("web", "n2", nic("02-00-00-00-00-08"), id="ID-2"), machine("db", "n2")])
    assert "2 machines adopted" in weft("import", second).stdout
    assert weft("import", second).stdout.startswith("nothing changed")
    assert got(weft, "virtualMachines", "web")["properties"]["hypervisor"]["id"] == "ID-1"
    assert len(names(weft, "virtualMachines")) == 4
    replica = put([], [machine("web", "n3", nic("02-00-00-00-00-07"), id="ID-1", power="off", isReplica=True)])
    assert "1 machine adopted" in weft("import", replica).stdout


def test_a_machine_that_has_moved_since_is_told_of(weft: Weft, put: Any) -> None:
    assert weft("import", put([], [machine("web", "n1", id="ID-1")])).exit_code == 0
    done = weft("import", put([], [machine("web", "n2", id="ID-1")]))
    assert "note: web is on n1 here, and on n2 in the inventory; an import moves nothing" in done.stderr
    assert names(weft, "virtualMachines") == ["web"]


def test_networks_are_mapped_to_subnets(weft: Weft, put: Any) -> None:
    assert weft("apply", "-f", "-", stdin=CORP).exit_code == 0
    ips = ["10.1.1.5", "fe80::1", "10.9.9.9"]
    nics = [
        nic("02-00-00-00-00-01", "static", vlan=20, ipAddresses=ips),
        nic("02-00-00-00-00-02", "static", vlan=30, ipAddresses=["10.1.2.5"]),
        nic("02-00-00-00-00-03", "static", network="Other", ipAddresses=["10.7.7.7"]),
    ]
    template = machine("t", "n1", nic("", vlan=30), nic("", network="x"), power="off", isTemplate=True)
    file = put([], [machine("web", "n1", *nics), template])
    done = weft("import", file, "--map", f"lan={WEB}", "--map", f"LAN:30={DB}")
    assert done.exit_code == 0, done.output
    assert f"note: web: 10.9.9.9 is not in {WEB}" in done.stderr
    assert "note: Other: 1 IP address left out" in done.stderr
    first, second, third = [got(weft, "nics", f"web-eth{at}")["properties"]["ipConfigurations"] for at in range(3)]
    assert [each["properties"]["privateIPAddress"] for each in first] == ["10.1.1.5"]
    assert second[0]["properties"]["subnet"] == {"resourceRef": DB}
    assert third == []
    networks = got(weft, "vms", "t")["properties"]["networks"]
    assert [each["subnet"]["resourceRef"] for each in networks] == [DB]


def test_clashes_are_taken_in_and_listed(weft: Weft, put: Any) -> None:
    hosts = [host("n1", *RANGE), host("n2", *RANGE)]
    twins = [machine(name, at, nic("02-00-00-00-00-01", "static")) for name, at in (("a", "n1"), ("b", "n2"))]
    done = weft("import", put(hosts, twins))
    assert done.exit_code == 0, done.output
    assert "activeTwin" in done.stdout
    assert "rangeOverlap" in done.stdout
    assert "critical  duplicateMac" in done.stdout
    assert "weft audit FILE" in done.stdout


def test_twins_that_run_are_named_as_their_hypervisor_knows_them(weft: Weft, put: Any) -> None:
    """What an import cannot say is set afterwards, also on a machine that runs beside another with its address."""
    twins = [machine(name, "n1", nic("02-00-00-00-00-01", "static"), id=f"ID-{name}") for name in ("a", "b c")]
    file = put([], twins)
    done = weft("import", file)
    assert (done.exit_code, "refused" in done.output) == (0, False)
    assert {each["properties"]["hypervisor"]["id"] for each in got(weft, "vms")} == {"ID-a", "ID-b c"}
    assert "nothing changed" in weft("import", file).stdout


def test_a_dry_run_shows_and_changes_nothing(weft: Weft, put: Any) -> None:
    saved = checkpoint("before", nic("02-00-00-00-00-02"))
    file = put([host("n1", *RANGE)], [machine("web", "n1", nic("02-00-00-00-00-01"), checkpoints=[saved])])
    shown = weft("import", file, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert f"draws from {RANGE[0]} to {RANGE[1]}" in shown.stdout
    assert "02-00-00-00-00-01; checkpoints before" in shown.stdout
    assert "dry run, nothing was changed; would be 1 server created, 1 machine adopted" in shown.stdout
    assert names(weft, "servers") == names(weft, "vms") == []


def test_a_range_that_has_changed_is_a_fact_that_changes(weft: Weft, put: Any) -> None:
    assert weft("import", put([host("n1", *RANGE)], [])).exit_code == 0
    assert weft("import", put([host("n1")], [])).stdout.startswith("nothing changed")
    done = weft("import", put([host("n1", "00-15-5D-09-00-00", "00-15-5D-09-00-FF")], []))
    assert "1 server changed, 0 unchanged" in done.stdout


def test_an_import_that_was_interrupted_is_completed(weft: Weft, put: Any) -> None:
    """The machine came in, and what an import cannot say of it did not."""
    assert weft("import", put([], [machine("web", "n1")])).exit_code == 0
    done = weft("import", put([], [machine("web", "n1", id="ID-1")]))
    assert "1 machine changed" in done.stdout
    assert got(weft, "vms", "web")["properties"]["hypervisor"]["id"] == "ID-1"


def test_a_machine_without_host_comes_in_off(weft: Weft, put: Any) -> None:
    done = weft("import", put([], [machine("web", "")]))
    assert "web names no host" in done.stderr
    assert got(weft, "vms", "web")["properties"]["powerState"] == "Off"


def test_checkpoints_whose_names_become_one_id_stay_apart(weft: Weft, put: Any) -> None:
    web = machine("web", "n1", nic("02-00-00-00-00-01", "static"), checkpoints=[checkpoint("a~b"), checkpoint("a-b")])
    assert weft("import", put([], [web])).exit_code == 0
    first, second = [each["resourceId"] for each in got(weft, "vms", "web")["properties"]["checkpoints"]]
    assert "a-b" in (first, second)
    assert first != second


def test_what_the_controller_refuses_is_named_and_the_rest_comes_in(
    weft: Weft, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else made a machine of that name after we looked."""
    assert weft("import", put([], [machine("taken", "n1", id="1")])).exit_code == 0
    monkeypatch.setattr(importing, "Present", lambda servers, machines: Present(servers, ()))
    done = weft("import", put([], [machine("taken", "n1", id="1"), machine("good", "n1")]))
    assert "good" in names(weft, "vms")
    assert (done.exit_code, "refused: virtualMachines/taken: " in done.stderr) == (1, True)
    assert "1 of them refused" in done.stdout


@pytest.mark.parametrize("mapping", ["lan", "=x/y", "lan=", "lan=x/y/z"])
def test_a_map_that_makes_no_sense_is_misuse(weft: Weft, put: Any, mapping: str) -> None:
    assert weft("import", put([], []), "--map", mapping).exit_code == 2


def test_a_map_of_a_network_that_nobody_is_in_is_misuse(weft: Weft, put: Any) -> None:
    """Its machines would come in without their subnet, and a second run would not mend that."""
    done = weft("import", put([], [machine("web", "n1", nic("02-00-00-00-00-07"))]), "--map", "LNA=corp/web")
    assert done.exit_code == 2
    assert "no machine has an interface in LNA; the inventory has lan" in done.stderr


def test_a_map_to_nothing_is_refused(weft: Weft, put: Any) -> None:
    file = put([], [machine("web", "n1", nic("02-00-00-00-00-07"))])
    assert weft("import", file, "--map", "lan=no/where").exit_code == 1


def test_bad_files_are_told_before_anything_is_sent(weft: Weft, put: Any) -> None:
    done = weft("import", put([], [machine("a", "n1", nic("zz"))]))
    assert (done.exit_code, names(weft, "servers")) == (2, [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web1", "web1"),
        ("web 1", "web-1"),
        ("  a//b  ", "a-b"),
        ("Ärger", "Arger"),
        ("a" * 80, "a" * 64),
        ("-x-", "-x-"),
        ("x~y", "x-y"),
    ],
)
def test_names_become_ids(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_names_without_a_usable_letter_get_an_id_of_their_own() -> None:
    made = [slug(name) for name in ("..", "日本", "日", "!!!")]
    assert len(set(made)) == 4
    assert all(each.startswith("vm-") for each in made)


def test_of_a_clash_the_exact_name_keeps_its_id() -> None:
    exact, changed, other = ids_of([("a-b", "1"), ("a b", "2"), ("A b", "3")], {})
    assert exact == "a-b"
    assert changed.startswith("a-b-")
    assert other.startswith("A-b-")
    assert changed.lower() != other.lower()
    assert ids_of([("web", "1"), ("WEB", "2")], {})[0] != "web"
    assert ids_of([("web", "1"), ("WEB", "2")], {0: "old"})[0] == "old"


def test_a_machine_comes_in_with_its_hypervisors_id_in_one_request() -> None:
    """Between two requests an agent would not know which machine of its host the record is of."""
    inventory = Inventory(
        hosts=(Host(name="hv1", type="HyperV"),), machines=(Machine(name="web", host="hv1", id="ID-1"),)
    )
    [step] = adoption.plan(inventory, {}, adoption.Present()).machines
    assert step.request["body"]["hypervisor"] == {"type": "hyperv", "id": "ID-1"}
    there = {"resourceId": "web", "properties": {"hypervisor": {"type": "hyperv", "id": "ID-1"}}}
    assert adoption.is_marked(there, step.marks), "so there is nothing left to mark"
