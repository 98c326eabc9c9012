"""The pipeline of the example (tests/unit/agent/policies.py), written out: a change of a flow shows up here as a diff.

To write the files anew: WEFT_GOLDEN=write pytest tests/golden
"""

import os
from pathlib import Path

import pytest

from tests.unit.agent.policies import flows
from weft.agent.flows.flow import flows_text

HERE = Path(__file__).parent


@pytest.mark.parametrize("host", ["host1", "host2"])
@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
def test_flows_are_as_written(host, encapsulation):
    text = flows_text(flows(host, encapsulation).values())
    path = HERE / f"{host}-{encapsulation}.flows"
    if os.environ.get("WEFT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
