"""Which machine of the hypervisor is which of ours."""

from weft.agent.identity import identify, own_adapters
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.records import Machine

WEB = Machine("web", "Running", (), "")
WEB_BY_ID = Machine("web", "Running", (), "ID-1")


def names(states, *machines):
    found = identify(states, {one.machine: one for one in machines})
    assert all(state.machine == name for name, state in found.items())
    return {name: state.id for name, state in found.items()}


def test_a_mark_says_whose_it_is_with_a_record_or_without():
    states = (MachineState("web", "Off", id="id-1"), MachineState("old", "Off", id="id-2"))
    assert names(states, WEB) == {"web": "id-1", "old": "id-2"}


def test_what_bears_no_mark_is_a_strangers_unless_a_record_names_its_id():
    assert names((MachineState("", "Off", id="id-1"),), WEB) == {}
    assert names((MachineState("", "Off", id="id-1"),), WEB_BY_ID) == {"web": "id-1"}


def test_the_id_goes_before_a_mark_that_was_copied():
    states = (MachineState("web", "Off", id="id-2"), MachineState("", "Running", id="id-1"))
    assert names(states, WEB_BY_ID) == {"web": "id-1"}
    assert names(states[:1], WEB_BY_ID) == {}


def test_a_machine_that_was_renamed_on_its_host_is_the_same():
    assert names((MachineState("web", "Off", id="id-1", name="other"),), WEB_BY_ID) == {"web": "id-1"}


def test_adapters_of_ours_are_those_with_an_address_of_their_machines():
    adapters = (AdapterState(5, name="vnet1"), AdapterState(6, name="vnet2"), AdapterState(5))
    states = {"web": MachineState("web", "Running", adapters=adapters), "old": MachineState("old", "Off")}
    assert own_adapters(states, {"web": Machine("web", "Running", (), "", macs=(5,))}) == {("vnet1", 5)}
    assert own_adapters(states, {}) == frozenset()
