"""docs/inventory.md: its example is valid and audits as told, its codes and members are all there are."""

import ast
import json
import re
from pathlib import Path

import jsonschema
import msgspec

import weft
from weft.cli.inventory import read_inventory
from weft.cli.inventory_csv import COLUMNS
from weft.core.audit.report import audit
from weft.model.inventory import Inventory, schema

TEXT = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text()


def block(language: str, text: str = TEXT) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0]


def test_the_example_is_what_the_schema_says_and_has_findings() -> None:
    example = json.loads(block("json"))
    jsonschema.Draft202012Validator(schema()).validate(example)
    report = audit(msgspec.convert(example, Inventory))
    assert [finding.code for finding in report.findings] == ["duplicateAtRollback"]


def test_every_member_is_in_the_example_and_in_the_text() -> None:
    for name, described in schema()["$defs"].items():
        for member in described["properties"]:
            assert f"`{member}`" in TEXT or name == "Inventory", f"{name}: {member}"
            assert f'"{member}"' in block("json"), f"{name}: {member}"


def test_every_code_is_explained_and_every_explained_code_exists() -> None:
    codes: set[str] = set()
    for path in (Path(weft.__file__).parent / "core" / "audit").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                codes |= {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    table = TEXT.partition("| code | severity")[2]
    explained = {
        code for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in re.findall(r"`(\w+)`", cell)
    }
    assert explained == codes


def test_the_csv_of_the_text_is_read_and_its_columns_are_all(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    section = TEXT.partition("### CSV")[2]
    file.write_text(block("", section))
    (machine,) = read_inventory([str(file)]).inventory.machines
    assert len(machine.checkpoints) == len(machine.interfaces) == 1
    assert not [column for column in COLUMNS if f"`{column}`" not in section]


def test_what_powershell_is_asked_for_is_read() -> None:
    """Members that the reader looks for and the line does not select would be missed."""
    line = block("powershell")
    for member in (
        "MacAddressMinimum",
        "IsClustered",
        "ReplicationMode",
        "VMSnapshotName",
        "SnapshotType",
        "AccessVlanId",
    ):
        assert member in line


def test_what_vmm_and_vcenter_are_asked_for_is_read() -> None:
    blocks = re.findall(r"^```powershell\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line, members in (
        (
            blocks[1],
            "MACAddressType VMNetwork VLanEnabled HostCluster VirtualMachineState HostName IsHighlyAvailable "
            "VMCheckpoints IsTemplate MACAddressRangeStart",
        ),
        (
            blocks[2],
            "AddressType NetworkName VMId instance.id Build PersistentId PowerState VMHost IsTemplate Quiesced "
            "Snapshot Cluster Key",
        ),
    ):
        assert not [member for member in members.split() if member not in line]
