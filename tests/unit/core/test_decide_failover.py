"""Failover, RemoveServer, MarkMachine; and releases by hand and by rule of what nobody knows any more."""

from typing import Any

import pytest

from tests.unit.core.life import CHECKPOINT, Life, events, waiting_interface
from tests.unit.core.world import dynamic_interface
from weft.core.commands import BeginMove, Failover, MarkMachine, ReleaseAddress, ReleaseInactive, RemoveServer, SetPower
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac

MAC0 = parse_mac("020000000000")


@pytest.fixture
def world() -> Life:
    return Life("Running")


def machine(world: Life, name: str = "web1") -> Any:
    return world.get(f"/weft/virtualMachines/{name}").properties


# -- failover


def test_a_machine_comes_up_elsewhere_as_it_was(world: Life) -> None:
    decision = world.do(Failover("WEB1", "H2"))
    assert events(decision) == [("moved", "web1", "h2")] * 2
    assert (machine(world).server.resource_ref, machine(world).power_state) == ("/servers/h2", "Running")
    assert world.addresses("web1-eth0") == "00 10.1.1.2"
    refusal = world.refuses(Failover("web1", "h2"))
    assert (refusal.code, refusal.target) == ("AlreadyThere", "server")
    assert "/servers/h2 already" in refusal.message


@pytest.mark.parametrize("phase", ["preparing", "switching", "withdrawing", "switched"])
def test_a_move_ends_with_it(world: Life, phase: str) -> None:
    world.move("web1", "h2")
    for one in ("switching", "withdrawing", "switched"):
        if phase == "preparing" or (phase != "withdrawing" and one == "withdrawing"):
            continue
        world.advance("web1", one)
        if one == phase:
            break
    world.do(Failover("web1", "h2"))
    assert (machine(world).server.resource_ref, machine(world).move) == ("/servers/h2", None)
    assert world.state.networks_on("h1") == []


def test_failover_is_refused(world: Life) -> None:
    assert world.refuses(Failover("none", "h2")).code == "NotFound"
    assert world.refuses(Failover("web1", "none")).code == "InvalidResourceReference"
    world.do(Clone("web1", "gold", is_template=True))
    assert world.refuses(Failover("gold", "h2")).code == "MachineIsTemplate"


def test_a_machine_of_no_server_fails_over_too(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", waiting_interface())
    world.machine("db1", None, "Off", "w")
    world.do(Failover("db1", "h2"))
    assert world.get("/networkInterfaces/w").properties.private_mac_address == "02555D031000"


# -- servers that go


def test_a_removed_servers_machines_keep_their_addresses_inactive(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(Clone("web1", "gold", is_template=True))
    decision = world.do(RemoveServer("H1", "burnt down"))
    assert decision.outcome == "deleted"
    assert ("inactive", "web1", "h1") in events(decision)
    assert world.state.find_ref("/servers/h1") is None
    p = machine(world)
    assert (p.server, p.power_state, p.inactive) == (None, "Off", "burnt down")
    assert world.addresses("web1-eth0") == "00 10.1.1.2"
    assert world.inactive("web1-eth0") == {1000.0}
    assert world.mac(0) == ("assigned", ["web1-eth0", "c1"])
    assert world.refuses(RemoveServer("h1")).code == "InvalidResourceReference"
    assert world.refuses(SetPower("web1", "Running")).target == "server"
    world.now = type(world.now)(2000.0, world.now.wall)
    assert world.do(MarkMachine("web1", "still gone")).outcome == "done"
    assert world.inactive("web1-eth0") == {1000.0}


def test_moves_from_and_to_a_removed_server_end(world: Life) -> None:
    world.interface("n2")
    world.machine("db1", "h2", "Running", "n2")
    world.move("web1", "h2")
    world.move("db1", "h1")
    world.do(RemoveServer("h2"))
    assert (machine(world).move, machine(world).server.resource_ref) == (None, "/servers/h1")
    assert (machine(world).power_state, machine(world).inactive) == ("Running", "")
    assert (machine(world, "db1").move, machine(world, "db1").inactive) == (None, "/servers/h2 was removed")


@pytest.mark.parametrize("way", ["put", "move", "failover"])
def test_bound_again_it_is_like_any_other(world: Life, way: str) -> None:
    world.do(RemoveServer("h1"))
    if way == "put":
        world.machine("web1", "h2", "Off", "web1-eth0")
    elif way == "move":
        world.move("web1", "h2")
    else:
        world.do(Failover("web1", "h2"))
    assert (machine(world).inactive, world.inactive("web1-eth0")) == ("", {0.0})
    world.power("web1", "Running")


def test_a_put_that_binds_nothing_leaves_it_inactive(world: Life) -> None:
    world.do(RemoveServer("h1"))
    assert world.machine("web1", None, "Off", "web1-eth0").properties.inactive
    world.machine("web1", None, "Off")
    assert world.inactive("web1-eth0") == {0.0}
    world.do(MarkMachine("web1", ""))
    assert machine(world).inactive == ""


def test_deleting_an_inactive_machine_leaves_its_interfaces_as_usual(world: Life) -> None:
    world.do(RemoveServer("h1"))
    world.delete("/weft/virtualMachines/web1")
    assert world.inactive("web1-eth0") == {0.0}


def test_templates_do_not_point_at_a_server_that_has_gone(world: Life) -> None:
    world.do(Clone("web1", "gold", is_template=True, server="h2"))
    world.do(Clone("web1", "silver", is_template=True))
    world.do(RemoveServer("h1"))
    world.delete("/servers/h2")
    assert (machine(world, "gold").server, machine(world, "silver").server) == (None, None)
    assert world.do(Clone("gold", "web2")).outcome == "created"
    assert machine(world, "web2").server is None


# -- machines that their host forgot


def test_a_machine_deleted_outside_is_marked_and_known_again(world: Life) -> None:
    decision = world.do(MarkMachine("WEB1", "deleted outside"))
    assert events(decision) == [("inactive", "web1", "h1")] * 2
    p = machine(world)
    assert (p.server.resource_ref, p.power_state, p.inactive) == ("/servers/h1", "Off", "deleted outside")
    assert world.inactive("web1-eth0") == {1000.0}
    assert world.do(MarkMachine("web1", "deleted outside")).outcome == "unchanged"
    decision = world.do(MarkMachine("web1", ""))
    assert events(decision) == [("active", "web1", "h1")] * 2
    assert (machine(world).inactive, world.inactive("web1-eth0")) == ("", {0.0})
    assert world.do(MarkMachine("web1", "")).outcome == "unchanged"


def test_a_mark_of_the_ledgers_first_moment_is_one(world: Life) -> None:
    world.now = type(world.now)(0.0, world.now.wall)
    decision = world.do(MarkMachine("web1", "deleted outside"))
    assert events(decision) == [("inactive", "web1", "h1")] * 2
    assert all(world.inactive("web1-eth0"))
    assert world.do(ReleaseAddress(MAC_SCOPE, MAC0, "scrap")).outcome == "done"


def test_a_marked_machine_that_is_started_is_known_again(world: Life) -> None:
    """Else its pool's rule could release what a running machine has."""
    world.do(MarkMachine("web1", "deleted outside"))
    decision = world.power("web1", "Running")
    assert events(decision) == [("active", "web1", "h1")] * 2
    assert (machine(world).inactive, world.inactive("web1-eth0")) == ("", {0.0})


def test_what_cannot_be_marked(world: Life) -> None:
    assert world.refuses(MarkMachine("none", "x")).code == "NotFound"
    world.do(Clone("web1", "gold", is_template=True))
    assert world.refuses(MarkMachine("gold", "x")).code == "MachineIsTemplate"
    world.move("web1", "h2")
    assert world.refuses(MarkMachine("web1", "x")).code == "AnotherOperationInProgress"


# -- releases


def test_a_cool_down_ends_early_by_hand(world: Life) -> None:
    world.power("web1", "Off")
    world.delete("/weft/virtualMachines/web1")
    world.delete("/networkInterfaces/web1-eth0")
    decision = world.do(ReleaseAddress(MAC_SCOPE, MAC0, "no switch remembers it"))
    assert [change.reason for change in decision.changes] == ["no switch remembers it"]
    assert world.mac(0) == ("free", [])
    refusal = world.refuses(ReleaseAddress(MAC_SCOPE, MAC0, "again"))
    assert (refusal.code, "free" in refusal.message) == ("NotFound", True)


def test_what_is_held_is_not_released_by_hand(world: Life) -> None:
    refusal = world.refuses(ReleaseAddress(MAC_SCOPE, MAC0, "x"))
    assert (refusal.code, refusal.target) == ("AddressIsHeld", "/networkInterfaces/web1-eth0")
    world.do(ExportMachine("web1", "e1"))
    world.do(MarkMachine("web1", "gone"))
    world.delete("/weft/virtualMachines/web1")
    world.delete("/networkInterfaces/web1-eth0")
    assert world.refuses(ReleaseAddress(MAC_SCOPE, MAC0, "x")).target.endswith("/exports/e1")


def test_an_inactive_address_takes_its_interface_along_and_the_machine_after_the_last(world: Life) -> None:
    world.power("web1", "Off")
    world.second()
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(MarkMachine("web1", "gone"))
    decision = world.do(ReleaseAddress(MAC_SCOPE, MAC0, "it is scrap"))
    assert events(decision) == [("retained", "web1", "h1")] * 2
    assert world.state.find_ref("/networkInterfaces/web1-eth0") is None
    assert [ref.resource_ref for ref in machine(world).network_interfaces] == ["/networkInterfaces/web1-eth1"]
    lease = world.ip_lease(3)
    assert lease is not None
    world.do(ReleaseAddress(lease.scope, lease.address, "scrap, too"))
    assert world.state.find_ref("/weft/virtualMachines/web1") is None
    assert world.state.find_ref(CHECKPOINT) is None
    assert (world.mac(0)[0], world.mac(1)[0]) == ("cooling", "cooling")


def test_twins_that_are_both_inactive_go_together(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    world.do(MarkMachine("web1", "gone"))
    world.do(Clone("web2", "web3", "keep"))
    world.do(MarkMachine("web2", "gone"))
    world.do(ReleaseAddress(MAC_SCOPE, MAC0, "scrap"))
    assert world.mac(0) == ("assigned", ["web3-eth0"])
    assert {one.resource_id for one in world.state.all("virtualMachines")} == {"web3"}


def test_inactive_addresses_go_back_by_their_pools_rule(world: Life) -> None:
    def rule(seconds: int) -> None:
        body = {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF"}
        world.put("/macPools/p1", body | {"releaseInactiveAfterSeconds": seconds})

    world.power("web1", "Off")
    world.second()
    world.do(Clone("web1", "web2"))
    for name in ("web1", "web2"):
        world.do(MarkMachine(name, "gone"))
        world.wait(10)
    world.wait(10_000)
    assert world.do(ReleaseInactive()).outcome == "unchanged"
    rule(20_000)
    assert world.do(ReleaseInactive()).outcome == "unchanged"
    rule(600)
    decision = world.do(ReleaseInactive(limit=3))
    assert {change.machine for change in decision.changes if hasattr(change, "machine")} == {"web1", "web2"}
    assert all("longer than /macPools/p1 allows" in one.reason for one in decision.changes if hasattr(one, "reason"))
    assert {one.resource_id for one in world.state.all("virtualMachines")} == {"web2"}
    assert len(machine(world, "web2").network_interfaces) == 1
    world.do(ReleaseInactive())
    assert not list(world.state.all("networkInterfaces"))


def test_a_twin_that_is_known_keeps_what_the_inactive_one_gives_up(world: Life) -> None:
    body = {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF", "releaseInactiveAfterSeconds": 60}
    world.put("/macPools/p1", body)
    world.do(Clone("web1", "web2", "keep"))
    world.do(MarkMachine("web1", "gone"))
    world.wait(61)
    world.do(ReleaseInactive())
    assert world.mac(0) == ("assigned", ["web2-eth0"])


def test_a_removed_server_and_its_ranges(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", waiting_interface())
    world.machine("db1", "h1", "Off", "w")
    world.do(RemoveServer("h1"))
    assert world.get("/networkInterfaces/w").properties.private_mac_address == "02555D030000"
    world.do(Failover("db1", "h2"))
    assert world.get("/networkInterfaces/w").properties.private_mac_address == "02555D030000"


def test_begin_move_of_a_template_and_restore_after_failover(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(Failover("web1", "h2"))
    assert world.do(Restore("web1", "c1")).outcome == "unchanged"
    assert world.put("/networkInterfaces/web1-eth0", dynamic_interface()).outcome == "unchanged"
    assert world.do(BeginMove("web1", "h1")).outcome == "done"
