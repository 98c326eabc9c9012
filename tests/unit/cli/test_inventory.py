"""Reading inventories: four formats, several encodings, several files, and faults with their file and line."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.inventories import ADAPTER, CAPTURED, HOST, SNAPSHOT, VM, faults, one, read

# Our own JSON


def test_our_own_format(put: Any) -> None:
    own = {"hosts": [{"name": "n1"}], "machines": [{"name": "a", "host": "n1"}], "macPools": []}
    assert one(read(put("x.json", own))).name == "a"
    assert read(put("y.json", {"machines": []})).machines == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"machines": [\n{"name": "a",\n "macc": 1}]}', "x.json:3: there is no field `macc`"),
        ('{"machines": [\n{"name": "a", "power":\n "on"}]}', "x.json:3: Invalid enum value 'on'"),
        ('{"machines": [{"name": 5}]}', "Expected `str`, got `int` - at `$.machines[0].name`"),
        ('{"machines": [\n{"name": "a",}]}', "x.json:2: not JSON"),
        ('{"machines": [', "x.json:1: not JSON"),
        ('{"a": "\u00e9",\n x}', "x.json:2: not JSON"),
        ("[" * 5000, "x.json:1: is nested more deeply"),
        ('{"cats": [1]}', "x.json:1: holds no object of Hyper-V's, VMM's"),
        ("[]", "holds no object"),
        ("", "x.json:1: is empty"),
        ("\ufeff \n", "is empty"),
    ],
)
def test_json_that_is_not_read(put: Any, text: str, said: str) -> None:
    (fault,) = faults(put("x.json", text))
    assert said in fault


def test_a_wrong_value_has_the_line_where_it_stands(put: Any) -> None:
    text = '{"hosts": [],\n "machines": [{"name": "a",\n  "interfaces": [{"mac": "zz"}]}]}'
    assert faults(put("x.json", text)) == [
        "x.json:3: machine 'a', interfaces[0].mac: 'zz': it is not a MAC address. "
        "Write six octets such as 00-1D-D8-B7-1C-00."
    ]
    pool = '{"macPools": [\n{"name": "p", "first": "02-00-00-00-00-02",\n "last": "02-00-00-00-00-01"}]}'
    assert faults(put("p.json", pool))[0].startswith("p.json:2: macPool 'p', last: 02-00-00-00-00-01 is below")


# CSV

HEAD = "machine,host,power,mac,mode,switch,vlan,ip,checkpoint,id,clustered,interface\n"


def test_csv_has_a_row_for_each_interface(put: Any) -> None:
    rows = "web,n1,Running,02-00-00-00-00-01,Dynamic,LAN,20,10.1.1.5 10.1.1.6,,7,yes,eth0\n"
    rows += "web,n1,Running,02-00-00-00-00-02,,LAN,,,,7,yes,eth1\n\n"
    rows += "web,n1,Running,02-00-00-00-00-03,,LAN,,,before,7,yes,eth0\n"
    machine = one(read(put("x.csv", HEAD + rows)))
    assert (machine.id, machine.power, machine.clustered) == ("7", "running", True)
    assert [(nic.mac, nic.mode, nic.vlan) for nic in machine.interfaces] == [
        ("02-00-00-00-00-01", "dynamic", 20),
        ("02-00-00-00-00-02", "static", None),
    ]
    assert machine.interfaces[0].ip_addresses == ("10.1.1.5", "10.1.1.6")
    assert machine.checkpoints[0].interfaces[0].mac == "02-00-00-00-00-03"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_heads_in_any_case_and_export_csv(put: Any, delimiter: str) -> None:
    text = delimiter.join(["Host", "MACHINE", "Mac", "Remark"]) + "\n" + delimiter.join(["n1", "a", "", "-"]) + "\n"
    inventory = read(
        put("x.csv", '#TYPE System.Object\n"' + text.replace(delimiter, f'"{delimiter}"', 3).replace("\n", '"\n', 1))
    )
    assert (one(inventory).name, inventory.hosts[0].name) == ("a", "n1")


@pytest.mark.parametrize("preface", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_delimiter_line_is_no_head(put: Any, preface: str) -> None:
    assert one(read(put("x.csv", f"{preface}\r\nMachine;MAC\r\na;00-15-5D-01-05-00\r\n"))).name == "a"


def test_rows_of_hosts(put: Any) -> None:
    head = "machine,mac,host,host type,host_address,cluster,rangefirst,rangelast\n"
    rows = ",,n1,,,,,\n,,n1,hyperv,10.1.1.5,c1,00-15-5D-01-05-00,00-15-5D-01-05-FF\na,,N1,,,,,\n"
    (host,) = read(put("x.csv", head + rows)).hosts
    assert (host.name, host.type, host.cluster, host.addresses) == ("n1", "hyperv", "c1", ("10.1.1.5",))
    assert host.dynamic_mac_range is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machine,host\n", "x.csv:1: no column mac"),
        ("# a remark\n", "no column machine and mac"),
        ("machine,mac,hostt\n", "x.csv:1: unknown column 'hostt'; did you mean host?"),
        (HEAD + ",,,,,,,,,,,x\n", "x.csv:2: names neither a machine nor a host"),
        (HEAD + "a,,off,,,,5000,,,,,\n", "x.csv:2: vlan '5000'"),
        (HEAD + "a,,off,,fixed,,,,,,,\n", "x.csv:2: mode 'fixed'"),
        (HEAD + "a,,maybe,,,,,,,,,\n", "x.csv:2: power 'maybe'"),
        (HEAD + "\na,,off,nonsense,,,,,,,,\n", "x.csv:3: machine 'a', interfaces[0].mac: 'nonsense'"),
        (HEAD + f"{'x' * (1 << 20 | 1)},\n", "not CSV: field larger"),
    ],
)
def test_csv_that_is_not_read(put: Any, text: str, said: str) -> None:
    (fault,) = faults(put("x.csv", text))
    assert said in fault


# Files


def test_formats_join_and_a_machine_counts_once(put: Any) -> None:
    own = {
        "hosts": [{"name": "hv1", "cluster": "c", "switches": [{"name": "SETswitch", "segment": "prod"}]}],
        "machines": [{"name": "web 1", "id": "id-1", "host": "hv1"}, {"name": "noid"}, {"name": "noid"}],
    }
    inventory = read(
        put("a.json", [VM, ADAPTER, HOST, SNAPSHOT, CAPTURED]), put("b.json", own), put("c.csv", HEAD + "c" + "," * 11)
    )
    assert sorted(machine.name for machine in inventory.machines) == ["c", "noid", "noid", "web 1"]
    (host,) = inventory.hosts
    assert host.dynamic_mac_range is not None
    assert (host.cluster, host.type, host.switches[0].segment) == ("c", "hyperv", "prod")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        content = io.BytesIO('{"machines": [{"name": "a"}]}'.encode(encoding))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        assert one(read("-")).name == "a"


def test_files_that_cannot_be_read(put: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a\nb\xff\xfec")
    (tmp_path / "empty").mkdir()
    missing = str(tmp_path / "missing.json")
    found = faults(missing, str(tmp_path / "bad"), str(tmp_path / "empty"))
    assert found[0] == "bad:2: is neither UTF-8 nor UTF-16 text; save it as UTF-8"
    assert found[1].startswith("empty:1: holds no file that ends in .xml")
    assert found[2].startswith("missing.json:1: cannot be read (No such file or directory)")


def test_a_workbook_is_told_from_a_sheet(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes(b"PK\x03\x04\x14\x00\xff\xfe")
    assert faults(str(tmp_path / "sheet.csv")) == ["sheet.csv:1: is a workbook or an archive; save its sheet as CSV"]


def test_what_is_no_text_is_told_so(put: Any) -> None:
    (fault,) = faults(put("x.xlsx", "PK\x03\x04\x14\x00\x06\x00"))
    assert fault.startswith("x.xlsx:1: is no text; a spreadsheet is saved as CSV (UTF-8)")
