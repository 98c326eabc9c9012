"""Which port belongs to whom, and where its machine is."""

import msgspec
import pytest

from tests.unit.agent.policies import GUESTS, HOSTS
from weft.agent.bindings import Role, bind, foreign_ports
from weft.agent.switch import SwitchFacts, SwitchPort
from weft.model.hypervisor import MachineState
from weft.model.records import Machine

BLUE1 = GUESTS["blue1"]
PORT = SwitchPort("vnet1", 5, BLUE1.instance, BLUE1.mac, 1500)
RUNS = {"blue1": MachineState("blue1", "Running")}
STANDS = {"blue1": MachineState("blue1", "Off")}
HELD = {"blue1": MachineState("blue1", "Running", migrating=True, handed_over=True)}


def one(ports=(PORT,), binding=None, machine=None, states=None):
    bindings = [binding or BLUE1.binding()]
    return bind(bindings, [machine] if machine else [], SwitchFacts(tuple(ports)), states)[BLUE1.instance]


def machine(power="Running", move_to=""):
    return Machine("blue1", power, (BLUE1.instance,), "", move_to, 3)


def test_a_port_with_iface_id_and_mac_is_bound():
    local = one()
    assert (local.number, local.role, local.fact().state) == (5, Role.HERE, "bound")
    assert one([msgspec.structs.replace(PORT, iface_id=PORT.iface_id.upper())]).number == 5


@pytest.mark.parametrize(
    ("ports", "state", "reason"),
    [
        ((), "absent", ""),
        ((msgspec.structs.replace(PORT, iface_id="else"),), "absent", ""),
        ((msgspec.structs.replace(PORT, attached_mac=1),), "closed", "attached-mac 00-00-00-00-00-01"),
        ((msgspec.structs.replace(PORT, attached_mac=None),), "closed", "attached-mac none"),
        ((PORT, msgspec.structs.replace(PORT, name="vnet2", ofport=6)), "closed", "vnet1, vnet2 all claim"),
        ((msgspec.structs.replace(PORT, ofport=-1),), "closed", "could not open port vnet1"),
    ],
    ids=["none", "another", "wrong-mac", "no-mac", "two", "dead"],
)
def test_any_other_port_stays_closed_with_a_reason(ports, state, reason):
    local = one(ports)
    assert (local.number, local.fact().state) == (None, state)
    assert reason in local.reason


def test_a_clone_that_kept_the_iface_id_does_not_disturb():
    assert one([PORT, msgspec.structs.replace(PORT, name="clone", attached_mac=7)]).number == 5


def test_a_copied_machine_gets_no_port_of_the_one_that_it_was_copied_from():
    """Whoever copies a domain's XML by hand copies iface-id and MAC; libvirt says which domain a port is of."""
    own = msgspec.structs.replace(PORT, vm_id="id-1")
    copy = msgspec.structs.replace(PORT, name="vnet2", ofport=6, vm_id="id-2")
    for known in (
        {"machine": msgspec.structs.replace(machine(), hypervisor_id="ID-1")},
        {"machine": machine(), "states": {"blue1": MachineState("blue1", "Running", id="id-1")}},
    ):
        assert one([own, copy], **known).number == one([PORT], **known).number == 5
        alone = one([copy], **known)
        assert (alone.number, alone.fact().state) == (None, "closed")
        assert "port vnet2 is of another machine (id-2)" in alone.reason
    assert one([copy], machine=machine()).number == 6, "nothing is known of its id"


TAKEN = msgspec.structs.replace(PORT, iface_id="drawn-by-libvirt", vm_id="id-1")
KNOWN = msgspec.structs.replace(machine(), hypervisor_id="ID-1")


def test_a_port_of_a_machine_that_was_taken_in_while_it_runs_is_known_by_its_machine():
    local = one([TAKEN], machine=KNOWN)
    assert (local.number, local.fact().state) == (5, "bound")
    assert foreign_ports({BLUE1.instance: local}, SwitchFacts((TAKEN,))) == ()
    own = msgspec.structs.replace(PORT, name="vnet2", ofport=6, vm_id="id-1")
    assert one([TAKEN, own], machine=KNOWN).number == 6, "an interface id that is ours goes before"


@pytest.mark.parametrize(
    ("ports", "known", "reason"),
    [
        ([TAKEN], machine(), ""),
        ([msgspec.structs.replace(TAKEN, vm_id="id-2")], KNOWN, ""),
        ([msgspec.structs.replace(TAKEN, vm_id="")], KNOWN, ""),
        ([msgspec.structs.replace(TAKEN, attached_mac=7)], KNOWN, ""),
        ([TAKEN, msgspec.structs.replace(TAKEN, name="vnet2")], KNOWN, "vnet1, vnet2 all claim"),
        ([msgspec.structs.replace(TAKEN, ofport=-1)], KNOWN, "could not open port vnet1"),
    ],
    ids=["id unknown", "another's", "not said", "other mac", "two", "dead"],
)
def test_any_other_port_of_such_a_machine_is_not_bound(ports, known, reason):
    local = one(ports, machine=known)
    assert local.number is None
    assert reason in local.reason if reason else local.reason == ""


def test_two_adapters_with_one_address_are_told_apart_where_one_has_its_interface_id():
    other = msgspec.structs.replace(BLUE1.binding(), instance_id="other")
    both = msgspec.structs.replace(KNOWN, instance_ids=(BLUE1.instance, "other"))
    first, second = (msgspec.structs.replace(PORT, vm_id="id-1"), msgspec.structs.replace(TAKEN, name="v2", ofport=6))
    bound = bind([BLUE1.binding(), other], [both], SwitchFacts((first, second)), None)
    assert (bound[BLUE1.instance].number, bound["other"].number) == (5, 6)


MOVING = BLUE1.binding(HOSTS["host2"])


@pytest.mark.parametrize(
    ("ports", "told", "states", "role"),
    [
        ((PORT,), machine(), RUNS, Role.HERE),
        ((PORT,), machine(move_to="host2"), RUNS, Role.HERE),
        ((PORT,), machine(move_to="host2"), STANDS, Role.GONE),
        ((PORT,), machine(move_to="host2"), {}, Role.GONE),
        ((PORT,), machine(move_to="host2"), HELD, Role.GONE),
        ((PORT,), machine(), HELD, Role.HERE),
        ((PORT,), machine("Incoming"), RUNS, Role.HERE),
        ((PORT,), machine("Incoming"), STANDS, Role.GONE),
        ((PORT,), machine(), STANDS, Role.HERE),
        ((PORT,), machine(), None, Role.HERE),
        ((), machine(), RUNS, Role.GONE),
        ((), machine(), None, Role.GONE),
        ((PORT,), None, {}, Role.GONE),
    ],
)
def test_a_machine_has_left_once_its_port_is_gone_or_it_no_longer_runs_here(ports, told, states, role):
    assert one(ports, MOVING, told, states).role is role


def test_without_a_move_nothing_has_left():
    assert one((), None, machine(), STANDS).role is Role.HERE


@pytest.mark.parametrize(("states", "role"), [({}, Role.COMING), (RUNS, Role.HERE), (None, Role.COMING)])
def test_an_incoming_machine_is_here_when_it_runs_here(states, role):
    assert one(machine=machine("Incoming"), states=states).role is role


def test_unclaimed_ports_are_named():
    stray = SwitchPort("tap9", 9, "nobody")
    bare = SwitchPort("tap8", 8)
    words = foreign_ports({BLUE1.instance: one()}, SwitchFacts((PORT, stray, bare)))
    assert [one.split(" is ")[0] for one in words] == ["port tap8 (iface-id none)", "port tap9 (iface-id nobody)"]


def test_a_spare_port_is_nothing_to_report():
    spare, stranger = SwitchPort("v1", 7, spare=True), SwitchPort("v2", 8)
    assert foreign_ports({}, SwitchFacts((spare, stranger))) == (
        "port v2 (iface-id none) is no interface of this host: closed",
    )


@pytest.mark.parametrize(
    ("power", "states", "role"),
    [
        ("Off", STANDS, Role.IDLE),
        ("Saved", {}, Role.IDLE),
        ("Off", None, Role.IDLE),
        ("Off", RUNS, Role.HERE),
        ("Running", STANDS, Role.HERE),
    ],
)
def test_a_machine_that_is_off_stands_back(power, states, role):
    """Its port may still be there, and its twin run elsewhere with the same addresses."""
    assert one(machine=machine(power), states=states).role is role
