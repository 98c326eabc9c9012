"""Machines, their power and their moves."""

from typing import Any

import pytest

from tests.unit.core.machines import WEB1, body, world
from tests.unit.core.world import World, dynamic_interface, put_command, static_interface
from weft.core.changes import LeaseChange
from weft.core.commands import AdvanceMove, BeginMove, SetPower
from weft.model.errors import Conflict
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.values import parse_mac

__all__ = ["world"]


# -- machines


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (body("none"), "InvalidResourceReference"),
        (body("/virtualNetworks/blue"), "InvalidResourceReference"),
        (body("/networkInterfaces/n1/ipConfigurations/ip1"), "InvalidResourceReference"),
        (body("n1", "N1"), "InvalidParameterValue"),
        (body("n1", server="/servers/none"), "InvalidResourceReference"),
        (body("n1", server="/logicalNetworks/h1"), "InvalidResourceReference"),
        (body("n1", powerState="Paused"), "InvalidParameterValue"),
        (body("n1", server=None, powerState="Running"), "InvalidParameterValue"),
    ],
)
def test_a_wrong_machine_is_refused(world: World, properties: dict[str, Any], code: str) -> None:
    assert world.refused(WEB1, properties).code == code


def test_references_are_stored_in_canonical_spelling_and_in_order(world: World) -> None:
    stored = world.put(WEB1, body("/NETWORKINTERFACES/N2", "n1", server="/Servers/H1", powerState="saved")).resource
    p = stored.properties
    assert [ref.resource_ref for ref in p.network_interfaces] == ["/networkInterfaces/n2", "/networkInterfaces/n1"]
    assert (p.server.resource_ref, p.power_state) == ("/servers/h1", "Saved")


def test_an_interface_belongs_to_one_machine(world: World) -> None:
    world.put(WEB1, body("n1"))
    refusal = world.refused("/weft/virtualMachines/web2", body("n1"))
    assert refusal.code == "NicInUse"
    assert WEB1 in refusal.message
    assert world.put(WEB1, body("n1")).outcome == "unchanged"


def test_a_machine_without_server_or_interfaces_is_fine(world: World) -> None:
    world.put(WEB1, body(server=None))
    world.put("/weft/virtualMachines/web2", body(server=""))
    assert world.get("/weft/virtualMachines/web2").properties.server is None


def test_power_is_taken_at_creation_only(world: World) -> None:
    world.put(WEB1, body("n1", powerState="Running"))
    assert world.put(WEB1, body("n1", powerState="Off")).outcome == "unchanged"
    assert world.get(WEB1).properties.power_state == "Running"


def test_the_server_changes_by_put_unless_the_machine_runs(world: World) -> None:
    world.put(WEB1, body("n1"))
    world.put(WEB1, body("n1", server="/servers/h2"))
    world.put(WEB1, body("n1", server=None))
    world.put(WEB1, body("n1"))
    world.power("web1", "Running")
    refusal = world.refused(WEB1, body("n1", server="/servers/h2"))
    assert refusal.code == "MachineIsRunning"
    assert "migrate" in refusal.message


def test_interfaces_come_and_go_with_history_and_interest(world: World) -> None:
    def events(changes: tuple[Any, ...]) -> set[tuple[str, str, str]]:
        leases = [one for one in changes if isinstance(one, LeaseChange)]
        assert all(one.before == one.after for one in leases)
        return {(one.event, one.machine, one.host) for one in leases}

    assert events(world.put(WEB1, body("n1")).changes) == {("moved", "web1", "h1")}
    assert (world.state.servers_of("blue"), world.state.networks_on("h1")) == (["h1"], ["blue"])
    changes = world.put(WEB1, body("n2")).changes
    assert events(changes) == {("moved", "", ""), ("moved", "web1", "h1")}
    assert events(world.put(WEB1, body("n2", server="/servers/h2")).changes) == {("moved", "web1", "h2")}
    assert world.state.servers_of("blue") == ["h2"]
    assert events(world.delete(WEB1).changes) == {("moved", "", "")}
    assert world.state.servers_of("blue") == []
    assert world.get("/networkInterfaces/n2").properties.private_mac_address == "020000000001"


def test_an_interface_that_changes_its_network_takes_the_interest_along(world: World) -> None:
    world.put(WEB1, body("n1", "n2"))
    world.put("/networkInterfaces/n1", dynamic_interface("/virtualNetworks/red/subnets/web"))
    assert sorted(world.state.networks_on("h1")) == ["blue", "red"]
    world.put("/networkInterfaces/n2", dynamic_interface(None))
    assert world.state.networks_on("h1") == ["red"]


@pytest.mark.parametrize("known", [None, {"type": "lab", "id": "web1"}, {"type": "libvirt", "id": ""}])
def test_a_running_machine_can_be_deleted(world: World, known: dict[str, str] | None) -> None:
    world.put(WEB1, body("n1", powerState="Running", hypervisor=known))
    assert world.delete(WEB1).outcome == "deleted"
    assert world.state.machine_of("n1") is None
    world.delete("/networkInterfaces/n1")


def test_a_running_machine_that_its_host_would_let_run_on_is_deleted_by_force_alone(world: World) -> None:
    taken_in = {"type": "libvirt", "id": "5eed"}
    world.put(WEB1, body("n1", powerState="Running", hypervisor=taken_in))
    with pytest.raises(Conflict, match="weft vm delete web1 --force") as refused:
        world.delete(WEB1)
    assert refused.value.code == "MachineIsRunning"
    world.power("web1", "Off")
    assert world.delete(WEB1).outcome == "deleted"
    made = {"cpu": 1, "disks": [{"path": "/vm/web1.qcow2", "sizeGib": 1}]}
    world.put(WEB1, body("n1", powerState="Running", hypervisor=taken_in, hardware=made))
    assert world.delete(WEB1).outcome == "deleted"


# -- power


def test_power_goes_through_its_states(world: World) -> None:
    world.put(WEB1, body("n1"))
    etag = world.get(WEB1).etag
    assert world.power("WEB1", "Running").resource.properties.power_state == "Running"
    assert world.get(WEB1).etag != etag
    assert world.power("web1", "running").outcome == "unchanged"
    world.power("web1", "Saved")
    world.power("web1", "Running")
    world.power("web1", "Off")
    assert world.refuses(SetPower("web1", "Saved")).code == "MachineIsNotRunning"
    assert world.refuses(SetPower("web1", "Paused")).target == "powerState"
    assert world.refuses(SetPower("none", "Off")).code == "NotFound"


def test_a_machine_without_server_cannot_start(world: World) -> None:
    world.put(WEB1, body("n1", server=None))
    refusal = world.refuses(SetPower("web1", "Running"))
    assert "no server" in refusal.message


def twins(world: World, domain: str, other_domain: str) -> None:
    """Two interfaces with one MAC, as a clone with `keep` would leave them."""
    for name in ("n1", "n2"):
        world.delete(f"/networkInterfaces/{name}")
    world.put("/networkInterfaces/n1", static_interface("101010101105"))
    world.put("/networkInterfaces/n2", static_interface("101010101105", "/virtualNetworks/red/subnets/web"))
    mac = parse_mac("101010101105")
    before = world.state.lease(MAC_SCOPE, mac)
    holders = tuple(
        Holder("networkInterface", f"/networkInterfaces/{name}", place)
        for name, place in (("n1", domain), ("n2", other_domain))
    )
    world.state.apply(LeaseChange(MAC_SCOPE, mac, before, Lease(MAC_SCOPE, mac, "assigned", holders), "assigned"))
    world.put(WEB1, body("n1"))
    world.put("/weft/virtualMachines/web2", body("n2"))


@pytest.mark.parametrize(("one", "other"), [("/lan", "/lan"), ("", "/lan"), ("/lan", "")])
def test_of_two_twins_in_one_domain_only_one_can_run(world: World, one: str, other: str) -> None:
    twins(world, one, other)
    world.power("web1", "Running")
    refusal = world.refuses(SetPower("web2", "Running"))
    assert refusal.code == "ActiveTwin"
    assert "web1" in refusal.message
    world.power("web1", "Off")
    world.power("web2", "Running")
    assert world.refuses(SetPower("web1", "Running")).code == "ActiveTwin"
    world.delete("/weft/virtualMachines/web2")
    world.power("web1", "Running")


def test_twins_in_two_domains_run_side_by_side(world: World) -> None:
    twins(world, "/lan", "/wan")
    world.power("web1", "Running")
    world.power("web2", "Running")


def test_a_machine_created_running_is_checked_for_twins_too(world: World) -> None:
    twins(world, "/lan", "/lan")
    world.power("web1", "Running")
    world.delete("/weft/virtualMachines/web2")
    assert world.refused("/weft/virtualMachines/web2", body("n2", powerState="Running")).code == "ActiveTwin"


# -- moves


def test_a_running_machine_moves_in_phases(world: World) -> None:
    world.put(WEB1, body("n1", powerState="Running"))
    generation = world.state.revision + 1
    move = world.move("web1", "H2").resource.properties.move
    assert (move.source, move.destination, move.phase, move.generation) == ("h1", "h2", "preparing", generation)
    assert sorted(world.state.servers_of("blue")) == ["h1", "h2"]
    assert world.advance("web1", "switching").resource.properties.server.resource_ref == "/servers/h1"
    switched = world.advance("web1", "switched")
    assert switched.resource.properties.server.resource_ref == "/servers/h2"
    moved = [one for one in switched.changes if isinstance(one, LeaseChange)]
    assert {(one.event, one.machine, one.host) for one in moved} == {("moved", "web1", "h2")}
    assert [one.resource_id for one in world.state.machines_on("h1")] == ["web1"]
    assert world.advance("web1", "switched").outcome == "unchanged"
    assert world.advance("web1", "done").resource.properties.move is None
    assert (world.state.servers_of("blue"), list(world.state.machines_on("h1"))) == (["h2"], [])


@pytest.mark.parametrize("phases", [(), ("switching", "withdrawing")])
def test_a_failed_move_leaves_the_machine_at_its_source(world: World, phases: tuple[str, ...]) -> None:
    world.put(WEB1, body("n1", powerState="Running"))
    world.move("web1", "h2")
    for phase in phases:
        world.advance("web1", phase)
    p = world.advance("web1", "failed").resource.properties
    assert (p.move, p.server.resource_ref) == (None, "/servers/h1")
    assert world.state.servers_of("blue") == ["h1"]


def test_one_move_at_a_time_and_nothing_else_meanwhile(world: World) -> None:
    world.put(WEB1, body("n1", powerState="Running"))
    world.move("web1", "h2")
    again = [
        BeginMove("web1", "h2"),
        SetPower("web1", "Off"),
        world.delete_command(WEB1),
        put_command(WEB1, body("n1", server="/servers/h2")),
        put_command(WEB1, body("n1", "n2")),
    ]
    for command in again:
        assert world.refuses(command).code == "AnotherOperationInProgress"
    assert world.refused_delete("/servers/h2").code == "InUseServerCannotBeDeleted"
    assert world.put(WEB1, body("n1")).outcome == "unchanged"


def test_a_move_advances_in_order_and_only_its_own(world: World) -> None:
    world.put(WEB1, body("n1", powerState="Running"))
    world.move("web1", "h2")
    generation = world.get(WEB1).properties.move.generation
    assert world.refuses(AdvanceMove("web1", "switching", generation - 1)).code == "MoveIsOver"
    assert world.refuses(AdvanceMove("web1", "switched", generation)).code == "MovePhaseConflict"
    assert world.refuses(AdvanceMove("web1", "flying", generation)).target == "phase"
    world.advance("web1", "switching")
    # the hypervisor may be at it: the machine is not given up at its destination before it is known to stay
    assert world.refuses(AdvanceMove("web1", "failed", generation)).code == "MovePhaseConflict"
    world.advance("web1", "withdrawing")
    assert world.refuses(AdvanceMove("web1", "switching", generation)).code == "MovePhaseConflict"
    assert world.advance("web1", "switched").resource.properties.server.resource_ref == "/servers/h2"
    assert world.refuses(AdvanceMove("web1", "failed", generation)).code == "MovePhaseConflict"
    world.advance("web1", "done")
    assert world.refuses(AdvanceMove("web1", "done", generation)).code == "MoveIsOver"
    assert world.refuses(AdvanceMove("none", "done", generation)).code == "NotFound"


def test_a_machine_that_does_not_run_changes_its_server_at_once(world: World) -> None:
    world.put(WEB1, body("n1"))
    assert world.move("web1", "/servers/h1").outcome == "unchanged"
    moved = world.move("web1", "/servers/h2")
    assert (moved.resource.properties.move, moved.resource.properties.server.resource_ref) == (None, "/servers/h2")
    assert {one.host for one in moved.changes if isinstance(one, LeaseChange)} == {"h2"}
    world.put("/weft/virtualMachines/web2", body(server=None))
    assert world.move("web2", "h1").resource.properties.server.resource_ref == "/servers/h1"
    assert world.refuses(BeginMove("web1", "none")).code == "InvalidResourceReference"
    assert world.refuses(BeginMove("none", "h1")).code == "NotFound"
