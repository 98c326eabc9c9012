"""Whatever stands in a file: it is read, or every fault has its file and line. Nothing else comes out of a reader."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from weft.cli.faults import BadFile
from weft.cli.inventory import read_inventory
from weft.core.audit.report import report_on

MEMBERS = st.sampled_from(
    ["Name", "VMName", "VMId", "Id", "State", "ComputerName", "MacAddress", "MacAddressMinimum", "MacAddressMaximum"]
    + ["SnapshotType", "VMSnapshotName", "NetworkAdapters", "IPAddresses", "VlanSetting", "AccessVlanId", "Switches"]
    + ["hosts", "machines", "macPools", "name", "host", "power", "interfaces", "mac", "value"]
)
LEAVES = st.sampled_from(
    [None, True, 0, 2, 99_999, 1.5, "", "x", "00155D010203", "10.1.1.1", "fe80::1", "running", "é"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5), max_leaves=20
)
GOOD = (
    '{"machines": [{"name": "a", "host": "n1", "interfaces": [{"mac": "00-15-5D-01-02-03", "vlan": 20}]}]}',
    '[{"Name": "a", "VMId": "1", "State": 2}, {"VMName": "a", "VMId": "1", "MacAddress": "00155D010203"}]',
    "<domain id='1'><name>a</name><devices><interface><mac address='525400000001'/></interface></devices></domain>",
    "machine,host,mac,vlan,ip\na,n1,02-00-00-00-00-01,20,10.1.1.1\n",
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good file with some bytes changed, left out or put in."""
    content = bytearray(draw(st.sampled_from(GOOD)).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=2) | st.sampled_from([b"<", b'"', b"&a;"]))
    return bytes(content)


@given(spoiled() | VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
@settings(deadline=None)
def test_any_file_is_read_or_its_faults_are_told(content: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        Path(file.name).write_bytes(content)
        try:
            report_on(read_inventory([file.name]).survey)
        except BadFile as bad:
            assert bad.faults
            for fault in bad.faults:
                assert fault.file == file.name
                assert fault.line >= 1
                assert fault.message
