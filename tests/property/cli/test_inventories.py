"""Whatever another tool writes is read, or told as faults: nothing else comes of it."""

import copy
import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.unit.cli import test_inventory_scvmm as scvmm
from tests.unit.cli import test_inventory_vcenter as vcenter
from weft.cli.faults import BadFile
from weft.cli.inventory import read_inventory

EXPORTS: list[Any] = [
    scvmm.ALL,
    [scvmm.VM, {**scvmm.NIC, "Name": "web 1"}],
    vcenter.ALL,
    {"virtualMachines": [vcenter.managed(vcenter.STANDARD)], "hostSystems": [vcenter.SYSTEM]},
    {"obj": vcenter.ref("VirtualMachine", "vm-1"), "propSet": [{"name": "config.hardware", "val": {"device": []}}]},
]
JUNK: list[Any] = [None, 0, -1, 1.5, "", "x", [], ["x"], {}, {"a": 1}, [[{}]], True, {"value": [1]}, {"name": None}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, below in steps for place in places(below, (*path, step)))]


def spoilt(value: Any, rng: Random) -> Any:
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        *way, last = rng.choice(places(value)[1:] or [(None,)])
        at = value
        for step in way:
            at = at[step]
        if last is not None:
            at[last] = copy.deepcopy(rng.choice(JUNK))
    return value


@pytest.mark.parametrize("export", EXPORTS)
def test_a_spoilt_export_is_read_or_refused(export: Any) -> None:
    rng, outcomes = Random(3), set()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.json"
        for _ in range(150):
            file.write_text(json.dumps(spoilt(export, rng)))
            try:
                read_inventory([str(file)])
                outcomes.add("read")
            except BadFile:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
