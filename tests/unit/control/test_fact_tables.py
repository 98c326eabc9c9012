"""A host's report, asked for one machine or one port."""

from weft.control.fact_tables import FactTables
from weft.model.hypervisor import HypervisorState, MachineState
from weft.wire.messages import Facts, MachineFact, PortFact, Problem

FACTS = Facts(
    machines=(MachineFact("a", "Running"), MachineFact("b", "Off", failure="no disk"), MachineFact("a", "Off")),
    ports=(PortFact("one", "bound"), PortFact("two", "closed", "its MAC is another"), PortFact("one", "absent")),
    problems=(Problem("Unknown", "of the host"), Problem("Unknown", "of a port", "three")),
    hypervisor=HypervisorState((MachineState("a", "Running", id="ID-A"), MachineState("", "Off", id="ID-S"))),
)


def test_the_first_of_a_name_counts() -> None:
    tables = FactTables(FACTS)
    assert {name: one.power for name, one in tables.machines.items()} == {"a": "Running", "b": "Off"}
    assert tables.ports["one"].state == "bound"


def test_what_is_wrong_is_found_without_looking_through_the_rest() -> None:
    tables = FactTables(FACTS)
    assert [one.machine for one in tables.failures] == ["b"]
    assert tables.troubled == {"one", "two", "three"}


def test_the_hypervisors_machines_are_found_by_id_and_by_mark() -> None:
    tables = FactTables(FACTS)
    assert tables.states["id-a"] is tables.marked["a"]
    assert tables.states["id-s"].power == "Off" and list(tables.marked) == ["a"]


def test_a_host_without_a_hypervisor_has_no_machines() -> None:
    assert not FactTables(Facts()).states and not FactTables(Facts()).marked
