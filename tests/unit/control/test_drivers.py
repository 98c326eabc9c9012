"""What a hypervisor shows of a machine, compared with the ledger, adapter by adapter."""

import pytest

from weft.control.drivers import defines, differs
from weft.model.hypervisor import AdapterState, MachineState
from weft.store.store import Agent

A, B = 0x02_00_00_00_00_0A, 0x02_00_00_00_00_0B
WANTED = [("i-a", A), ("i-b", B)]


@pytest.mark.parametrize(
    ("adapters", "why"),
    [
        ((AdapterState(A, "i-a"), AdapterState(B, "i-b")), ""),
        # in another order, or by a driver that does not tell whose each is
        ((AdapterState(B, "i-b"), AdapterState(A, "i-a")), ""),
        ((AdapterState(B), AdapterState(A)), ""),
        ((AdapterState(A, "i-a"),), "it has 1 adapters instead of 2"),
        ((AdapterState(A, "i-a", dynamic=True), AdapterState(B, "i-b")), "has a dynamic MAC address"),
        ((AdapterState(B, "i-a", name="n1"), AdapterState(A, "i-b")), "n1 has 02-00-00-00-00-0B instead of"),
        ((AdapterState(A, "i-a"), AdapterState(B, "i-x")), "belongs to another interface (i-x)"),
        ((AdapterState(A), AdapterState(A)), "which is none of 02-00-00-00-00-0B"),
        ((AdapterState(A), AdapterState(0)), "has 00-00-00-00-00-00, which is none of"),
    ],
)
def test_how_adapters_differ(adapters, why):
    said = differs(MachineState("web1", "Off", adapters=adapters), WANTED)
    assert why in said if why else said == ""


@pytest.mark.parametrize(
    ("hypervisor", "keeps"), [("libvirt", True), ("hyperv", True), ("lab", False), ("", False), (None, False)]
)
def test_which_drivers_keep_machines(hypervisor, keeps):
    assert defines(Agent("host1", hypervisor, 0.0) if hypervisor is not None else None) is keeps
