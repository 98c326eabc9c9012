"""`weft plan`: a worksheet of addresses as a file; its faults, all at once, each at its cell."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from tests.command_line import invoke
from weft.cli.commands import app
from weft.cli.documents import Documents
from weft.cli.files import parse_stream
from weft.lab.plan import plan

EXAMPLE = Path(__file__).parents[3] / "examples" / "worksheet.csv"
HEAD = "host,provider address,machine,customer address,VSID"


def weft(sheet: str | bytes) -> Result:
    return invoke(app, ["plan", "-"], sheet)


def documents_of(sheet: str | bytes) -> Documents:
    done = weft(sheet)
    assert done.exit_code == 0, done.output
    return parse_stream(done.stdout, "sheet")


def body(documents: Documents, ref: str) -> dict[str, object]:
    found = [one for one in documents.resources if one.ref == ref]
    assert found, [one.ref for one in documents.resources]
    properties: dict[str, object] = found[0].body["properties"]
    return properties


def faults_of(sheet: str) -> list[str]:
    done = weft(sheet)
    assert done.exit_code == 2, done.output
    assert done.stderr.endswith("; nothing was written\n")
    return done.stderr.splitlines()[:-1]


def test_the_example_is_a_lab_with_two_hosts_and_four_machines() -> None:
    documents = documents_of(EXAMPLE.read_bytes())
    lab = plan(documents)
    assert [(host.name, host.provider_address, host.gateway) for host in lab.hosts] == [
        ("host1", "192.168.1.10/24", "192.168.1.1"),
        ("host2", "192.168.2.20/24", "192.168.2.1"),
    ]
    assert lab.running == ("BlueVM1", "BlueVM2", "RedVM1", "RedVM2")
    assert body(documents, "/virtualNetworks/blue")["subnets"] == [
        {"resourceId": "vsid-6001", "properties": {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001}}
    ]
    assert body(documents, "/servers/host2")["providerAddresses"] == ["192.168.2.20"]


SAME = [
    "VSID;CA;VM;PA;Server\n6001;10.1.1.11;BlueVM1;192.168.1.10;host1\n6001;10.1.1.12;BlueVM2;192.168.2.20;host2\n",
    "\ufeffHost,Provider Address,Machine,Customer address,vsid\n"
    "host1,192.168.1.10/24,BlueVM1,10.1.1.11/24,6001\nhost2,192.168.2.20,BlueVM2,10.1.1.12,6001\n",
    "sep=;\r\n\r\nHOST NAME;PA (provider);VM name;CA (customer);Virtual Subnet ID\r\n"
    '"host1";192.168.1.10 ;BlueVM1;10.1.1.11;6001\r\n;;;;\r\n"host2";192.168.2.20;BlueVM2;10.1.1.12;6001\r\n',
]


@pytest.mark.parametrize("sheet", SAME)
def test_order_names_delimiter_mark_and_lengths_do_not_matter(sheet: str) -> None:
    documents = documents_of(sheet)
    first = documents_of(SAME[0])
    assert [one.body for one in documents.resources] == [one.body for one in first.resources]
    assert [one.properties for one in documents.lab] == [one.properties for one in first.lab]


def test_utf_16_as_spreadsheets_save_it() -> None:
    assert len(documents_of(SAME[0].encode("utf-16")).lab) == 2


def test_a_network_of_two_subnets_dual_stack_and_two_adapters() -> None:
    sheet = f"""{HEAD},network,MAC
h1,192.168.1.10,a,10.1.1.11,6001,Blue,00:1d:d8:b7:1c:07
h1,192.168.1.10,a,fd00:1::11,6001,blue,
h1,,a,10.1.2.11/25,6002,blue,
h2,192.168.1.20,,,,,
"""
    documents = documents_of(sheet)
    network = body(documents, "/virtualNetworks/Blue")
    assert network["addressSpace"] == {"addressPrefixes": ["10.1.1.0/24", "fd00:1::/64", "10.1.2.0/25"]}
    machine = body(documents, "/weft/virtualMachines/a")
    assert [one["resourceRef"] for one in machine["networkInterfaces"]] == [
        "/networkInterfaces/a-eth0",
        "/networkInterfaces/a-eth1",
    ]
    first = body(documents, "/networkInterfaces/a-eth0")
    assert first["privateMacAddress"] == "001DD8B71C07"
    assert len(first["ipConfigurations"]) == 2
    assert [one.properties for one in documents.lab] == [
        {"providerAddress": "192.168.1.10/24"},
        {"providerAddress": "192.168.1.20/24"},
    ]


FAULTS = [
    ("h1,192.168.1.10,a,10.1.1.11,4095", ["cell E2 (VSID): '4095' is no virtual subnet id"]),
    ("h1,192.168.1.10,a,10.1.1.300,6001", ["cell D2 (customer address): '10.1.1.300' is no IP address"]),
    ("h1,192.168.1,a,10.1.1.11,6001", ["cell B2 (provider address): '192.168.1' is no IP address"]),
    ("h 1,192.168.1.10,a,10.1.1.11,6001", ["cell A2 (host): 'h 1' is no name"]),
    ("h1,192.168.1.10,a,,6001", ["cell D2 (customer address): is empty"]),
    ("h1,,a,10.1.1.11,6001", ["cell B2 (provider address): no row of h1 says its provider address"]),
    ("h1,192.168.1.10,a,10.1.1.1,6001", ["cell D2 (customer address): 10.1.1.1 is the router's"]),
    ("h1,192.168.1.10,a,10.1.1.255,6001", ["cell D2 (customer address): 10.1.1.255 is the broadcast address"]),
    ("h1,192.168.1.10,h1,10.1.1.11,6001", ["cell C2 (machine): h1 is a host's name too"]),
    (
        "h1,192.168.1.10,a,10.1.1.11,6001\nh2,192.168.1.10,b,10.1.1.11,6001",
        [
            "cell B3 (provider address): 192.168.1.10 is h1's in line 2",
            "cell D3 (customer address): 10.1.1.11 is a's in network vsid-6001 in line 2",
        ],
    ),
    (
        "h1,192.168.1.10,a,10.1.1.11,6001\nh1,192.168.1.11,b,10.1.2.12,6001\nh2,192.168.1.12,a,10.1.1.13,6001",
        [
            "cell B3 (provider address): h1 has 192.168.1.10 in line 2",
            "cell D3 (customer address): 10.1.2.12/24 is not in 10.1.1.0/24, which VSID 6001 has",
            "cell A4 (host): a is on h1 above",
        ],
    ),
    ("h1,192.168.1.1,a,10.1.1.11,6001\nh2,192.168.2.2,,,", ["cell B2 (provider address): 192.168.1.1 is both h1's"]),
]


@pytest.mark.parametrize(("rows", "said"), FAULTS)
def test_every_fault_is_told_with_its_line_and_cell(rows: str, said: list[str]) -> None:
    found = faults_of(f"{HEAD}\n{rows}\n")
    assert len(found) == len(said), found
    for fault, text in zip(found, said, strict=True):
        assert f"{text}" in fault and fault.startswith(f"stdin:{text.split(' (')[0][-1]}: "), fault


def test_the_same_address_in_two_networks_is_no_fault_and_one_vsid_in_two_networks_is() -> None:
    head = f"{HEAD},network\n"
    documents_of(f"{head}h1,192.168.1.10,a,10.1.1.11,6001,blue\nh1,,b,10.1.1.11,5001,red\n")
    found = faults_of(f"{head}h1,192.168.1.10,a,10.1.1.11,6001,blue\nh1,,b,10.1.1.12,6001,red\n")
    assert found == ["stdin:3: cell F3 (network): VSID 6001 is blue's in line 2; a virtual subnet is of one network"]
    found = faults_of(f"{head}h1,192.168.1.10,a,10.1.1.11,6001,blue\nh1,,b,10.1.1.12,6002,blue\n")
    assert "cell D3 (customer address): 10.1.1.0/24 overlaps VSID 6001 of network blue" in found[0]


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("", "is empty"),
        (f"{HEAD}\n", "has no rows"),
        ("host,machine,customer address,VSID\n", "no column provider address"),
        (HEAD.replace("provider address", "provider adress"), "cell B1: unknown column 'provider adress'"),
        (f"{HEAD},CA\n", "cell F1: a second column of customer address"),
    ],
)
def test_a_sheet_without_its_columns(sheet: str, said: str) -> None:
    assert said in faults_of(sheet)[0]


def test_a_column_that_nobody_knows_is_left_out_and_said() -> None:
    done = weft(f"{HEAD},Remarks\nh1,192.168.1.10,a,10.1.1.11,6001,old\n")
    assert done.exit_code == 0
    assert "note: stdin:1: cell F1: column 'Remarks' is left out" in done.stderr


def test_the_worksheet_itself_is_not_written_over(tmp_path: Path) -> None:
    sheet, link = tmp_path / "sheet.csv", tmp_path / "link.csv"
    sheet.write_bytes(EXAMPLE.read_bytes())
    link.symlink_to(sheet)
    for output in (sheet, link):
        done = invoke(app, ["plan", str(sheet), "-o", str(output)])
        assert (done.exit_code, "name another file" in done.stderr) == (2, True)
    with sheet.open() as stdin:
        words = [sys.executable, "-m", "weft", "plan", "-", "-o", str(sheet)]
        assert subprocess.run(words, stdin=stdin, capture_output=True, check=False).returncode == 2
    assert sheet.read_bytes() == EXAMPLE.read_bytes()
    assert invoke(app, ["plan", str(sheet), "-o", str(tmp_path / "made.yaml")]).exit_code == 0
