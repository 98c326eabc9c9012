"""Adopting notes what runs by another's hand: never where an agent of ours would start it a second time."""

import pytest
from msgspec.structs import replace

from tests.cluster.control import ANN
from tests.cluster.host_agent import Rack
from tests.unit.control.copies import controller, mac, quick, rack
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import Batch
from weft.core.copy_commands import Clone, ImportedInterface, ImportMachine
from weft.model.errors import Conflict
from weft.model.hypervisor import MachineState
from weft.model.values import mac_digits
from weft.model.workload import HypervisorIdentity

__all__ = ["controller", "quick", "rack"]


def twin(controller: Controller, power: str, server: str = "host1", adopt: bool = True) -> ImportMachine:
    return ImportMachine("b", server, (ImportedInterface(mac_digits(mac(controller))),), power=power, adopt=adopt)


async def test_no_agent_is_told_to_start_what_was_adopted(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    for asked in (twin(controller, "running"), twin(controller, "Running", "HOST2")):
        with pytest.raises(Conflict, match="has an agent, which would start b a second time") as refused:
            await controller.submit(asked, ANN)
        assert (refused.value.code, refused.value.position) == ("ServerIsManaged", None)
        with pytest.raises(Conflict):
            controller.dry_run(asked)
    with pytest.raises(Conflict) as refused:
        await controller.submit(Batch((Clone("a", "c"), twin(controller, "Running"))), ANN)
    assert refused.value.position == 1
    assert controller.state.get("virtualMachines", "b") is None


async def test_what_is_off_may_be_adopted_anywhere(controller: Controller, rack: Rack) -> None:
    await controller.submit(twin(controller, "Off"), ANN)
    assert controller.state.get("virtualMachines", "b") is not None


async def test_what_runs_may_be_adopted_where_no_agent_is(controller: Controller) -> None:
    await controller.submit(twin(controller, "Running"), ANN)
    assert controller.state.get("virtualMachines", "b") is not None


@pytest.mark.parametrize(
    ("power", "known", "accepted"),
    [("Running", "ID-B", True), ("Off", "ID-B", False), ("Running", "id-c", False), ("Running", "", False)],
)
async def test_what_an_agent_sees_running_is_not_started_again(
    controller: Controller, rack: Rack, power: str, known: str, accepted: bool
) -> None:
    host = rack.hosts["host1"]
    host.states = {"id-b": MachineState("", power)}
    await soon(lambda: bool(controller.host("host1").facts.hypervisor))
    asked = replace(twin(controller, "Running"), hypervisor=HypervisorIdentity(type="libvirt", id=known))
    if accepted:
        await controller.submit(asked, ANN)
        assert controller.state.get("virtualMachines", "b").properties.power_state == "Running"
    else:
        with pytest.raises(Conflict, match="has an agent"):
            await controller.submit(asked, ANN)
