"""What is asked of the hypervisor, from what should be and what is."""

import msgspec
import pytest

from tests.unit.agent.worlds import ABSENT, BINDING, BLUE1, START, machine, world
from weft.agent.bindings import Local, Role
from weft.agent.hypervisors import Blank, Define, Migrate, Prepare, Remove, Save, SetMacs, SetRange, Stop
from weft.agent.machines import host_problems, host_verbs, names, verb_for
from weft.model.hypervisor import AdapterState, CheckpointState, Hardware, MachineState
from weft.model.records import HostSettings

CLOSED = Local(BINDING, None, Role.HERE, "wrong mac")


PREPARE = Prepare(machine(), (BINDING,), mtu=1458)


@pytest.mark.parametrize(
    ("given", "verb"),
    [
        (world(machine()), START),
        (world(machine(), "Off"), START),
        (world(machine(), "Running"), None),
        (world(machine(), states={"blue1": MachineState("blue1", "Running", 1458)}), None),
        (world(machine(), states={"blue1": MachineState("blue1", "Running", 1508)}), START),
        (world(machine(), states={"blue1": MachineState("blue1", "Running", 1408)}), START),
        (world(machine(), states={"blue1": MachineState("blue1", "Running", 1508)}, settled=False), None),
        (world(machine(), settled=False), None),
        (world(machine(), local=ABSENT), PREPARE),
        (world(machine(), "Running", ABSENT), PREPARE),
        (world(machine(), local=CLOSED), PREPARE),
        (world(machine(), "Running", CLOSED), None),
        (world(machine("Incoming"), local=ABSENT), Prepare(machine("Incoming"), (BINDING,))),
        (world(machine("Incoming")), None),
        (world(machine("Incoming"), "Running", ABSENT), None),
        (world(machine(move_to="host2"), "Running"), Migrate("blue1", "host2")),
        (world(machine(move_to="host2"), "Off"), None),
        (world(machine(move_to="host2")), None),
        (world(machine("Off"), "Running"), Stop("blue1")),
        (world(machine("Off"), "Off"), None),
        (world(machine("Off"), local=ABSENT), None),
        (world(None, "Off"), Remove("blue1")),
        (world(None, "Running"), Remove("blue1")),
        (world(None, leaving=("blue1",)), Remove("blue1")),
        (world(None, "Running", in_sync=False), None),
        # after a failover another host may run it: it must not wait for this one's switch
        (world(None, "Running", settled=False), Stop("blue1")),
        (world(None, "Off", settled=False), None),
        (world(machine(), missing=("blue1",)), None),
        (world(machine(), local=ABSENT, missing=("blue1",)), None),
        (world(machine(), may_start=False), None),
        (world(machine(), local=ABSENT, may_start=False), PREPARE),
        (world(machine(), local=ABSENT, waiting=(BINDING.instance_id,)), None),
        (world(machine(), "Off", waiting=(BINDING.instance_id,)), None),
        (world(machine(), "Running", ABSENT, waiting=(BINDING.instance_id,)), PREPARE),
        (world(machine(), states={"blue1": MachineState("blue1", "Running", 1508)}, may_start=False), START),
        (world(None), None),
    ],
)
def test_the_verb_is_what_is_missing(given, verb):
    assert verb_for("blue1", given) == verb


def test_everything_named_anywhere_is_considered():
    assert names(world(machine(), leaving=("old",))) == ["blue1", "old"]


MADE = msgspec.structs.replace(machine("Off"), hardware=Hardware(2, 2048), macs=(BLUE1.mac,))
OWN, OTHER = AdapterState(BLUE1.mac, BLUE1.instance), AdapterState(BLUE1.mac + 1, BLUE1.instance)
DRAWN, UNSET = AdapterState(BLUE1.mac, BLUE1.instance, True), AdapterState(0, BLUE1.instance, True)


def known(power, *adapters, **more):
    return {"states": {"blue1": MachineState("blue1", power, id="id-1", adapters=adapters, **more)}}


@pytest.mark.parametrize(
    ("given", "verb"),
    [
        (world(MADE), Define(MADE, (BINDING,))),
        (world(MADE, in_sync=False), None),
        (world(MADE, may_start=False), None),
        (world(MADE, missing=("blue1",)), None),
        (world(MADE, **known("Off", OWN)), None),
        # made ready for a start that nobody wants any more
        (world(MADE, **known("Off", OWN, held=True)), Stop("blue1", "id-1")),
        (world(MADE, **known("Off", OWN, awaited=True)), Define(MADE, (BINDING,))),
        (world(MADE, **known("Off", OWN, unfinished=True)), Define(MADE, (BINDING,))),
        (world(msgspec.structs.replace(MADE, hardware=None)), None),
        (
            world(msgspec.structs.replace(MADE, power="Running")),
            Define(msgspec.structs.replace(MADE, power="Running"), (BINDING,)),
        ),
    ],
)
def test_a_machine_with_hardware_is_defined_where_it_is_missing(given, verb):
    assert verb_for("blue1", given) == verb


@pytest.mark.parametrize("adapter", [OTHER, DRAWN, UNSET])
def test_a_machine_that_is_off_gets_the_address_that_it_owns_before_anything_else(adapter):
    for power in ("Off", "Running"):
        record = msgspec.structs.replace(MADE, power=power)
        assert verb_for("blue1", world(record, **known("Off", adapter))) == SetMacs(record, (BINDING,), "id-1")
    assert verb_for("blue1", world(MADE, **known("Off", adapter, OWN))) is None, "which adapter is whose?"
    running = msgspec.structs.replace(MADE, power="Running")
    assert verb_for("blue1", world(running, **known("Running", adapter))) is None


def test_an_adapter_with_the_interface_id_of_another_gets_its_own_where_it_is_known():
    """As an imported machine has it: its own port would stay closed."""
    foreign, none = AdapterState(BLUE1.mac, "11111111-0000-4000-8000-000000000000"), AdapterState(BLUE1.mac)
    spelt = AdapterState(BLUE1.mac, BLUE1.instance.upper())
    for power in ("Off", "Running"):
        record = msgspec.structs.replace(MADE, power=power)
        for adapter in (foreign, none):
            assert verb_for("blue1", world(record, **known("Off", adapter))) == SetMacs(record, (BINDING,), "id-1")
    assert verb_for("blue1", world(MADE, **known("Off", spelt))) is None
    assert verb_for("blue1", world(MADE, local=None, **known("Off", foreign))) is None, "it has no port to be bound"
    running = msgspec.structs.replace(MADE, power="Running")
    assert verb_for("blue1", world(running, **known("Running", foreign))) is None, "only while it is off"


@pytest.mark.parametrize(
    ("power", "verb"),
    [("Off", Stop("blue1", "id-1")), ("Saved", Save("blue1", "id-1")), ("Absent", Remove("blue1", "id-1", True))],
)
def test_what_runs_and_should_not_is_asked_for_by_the_hypervisors_id(power, verb):
    assert verb_for("blue1", world(msgspec.structs.replace(MADE, power=power), **known("Running", OWN))) == verb


def test_what_is_saved_is_stopped_where_it_shall_be_off():
    assert verb_for("blue1", world(MADE, **known("Saved", OWN))) == Stop("blue1", "id-1")
    kept = msgspec.structs.replace(MADE, power="Saved")
    assert verb_for("blue1", world(kept, **known("Saved", OWN))) is None


def test_a_machine_that_is_awaited_needs_no_port_beforehand():
    coming = world(machine("Incoming"), local=ABSENT, **known("Off", awaited=True))
    assert verb_for("blue1", coming) is None


def test_nothing_is_deleted_before_all_is_known():
    absent = msgspec.structs.replace(MADE, power="Absent")
    assert verb_for("blue1", world(absent, in_sync=False, **known("Off", OWN))) is None
    assert verb_for("blue1", world(absent)) is None


OWN = (0x00155D010000, 0x00155D0100FF)


@pytest.mark.parametrize(
    ("given", "verbs"),
    [
        (world(), []),
        (world(settings=HostSettings(OWN)), [SetRange(*OWN)]),
        (world(settings=HostSettings(OWN), dynamic_range=(1, 2)), [SetRange(*OWN)]),
        (world(settings=HostSettings(OWN), dynamic_range=OWN), []),
        (world(dynamic_range=OWN), []),
        (world(settings=HostSettings(OWN), in_sync=False), []),
    ],
)
def test_the_hosts_own_range_is_asked_for_until_it_is_so(given, verbs):
    assert list(host_verbs(given).values()) == verbs
    assert names(given) == []


def stranger(*adapters, running=False, machine="", name="c"):
    point = CheckpointState("CP", name, adapters, running)
    return MachineState(machine, "Running", id="ID", name="desk 1", checkpoints=(point, CheckpointState("X", name)))


DRAWN, ZEROS, STATIC = AdapterState(7, dynamic=True), AdapterState(0, dynamic=True), AdapterState(8)


@pytest.mark.parametrize(
    ("hosted", "verbs", "problem"),
    [
        ((MachineState("", "Off", id="other"), stranger(DRAWN, STATIC)), [Blank("ID", "CP")], None),
        ((stranger(ZEROS, STATIC),), [], None),
        ((stranger(ZEROS, running=True),), [], None),
        ((stranger(DRAWN, running=True),), [], "it holds a running machine"),
        ((stranger(STATIC),), [], "its adapters are static"),
        ((stranger(DRAWN, machine="web1"),), [], "Weft has the machine"),
        ((), [], None),
    ],
)
def test_a_checkpoint_is_blanked_only_where_no_rollback_cuts_a_running_machine_off(hosted, verbs, problem):
    given = world(settings=HostSettings(blank=(("id", "cp"), ("id", "gone"))), hosted=hosted)
    assert list(host_verbs(given).values()) == verbs
    assert [one.partition(" is not blanked: ")[0] for one in host_problems(given)] == (
        ["checkpoint c of desk 1"] if problem else []
    )
    assert all(problem in one for one in host_problems(given))
