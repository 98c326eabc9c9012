"""The scripts of source 004's two hosts, written out: a change of what somebody runs on a host shows up here as a diff.

To write the files anew: WEFT_GOLDEN=write pytest tests/golden
"""

import os
from pathlib import Path

import pytest

from tests.unit.core.hyperv.worlds import source_004
from weft.core.hyperv.policy_script import script_of

HERE = Path(__file__).parent


@pytest.mark.parametrize("host", ["host1", "host2"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_scripts_are_as_written(host, version):
    text = script_of(source_004().state, host, version)
    path = HERE / f"{host}-{version}.ps1"
    if os.environ.get("WEFT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
