"""Checkpoints and exports: what they hold, for how long, and what that keeps others from."""

import pytest

from tests.unit.core.life import CHECKPOINT, EXPORT, Life, events
from tests.unit.core.world import dynamic_interface, put_command, static_interface, virtual_network
from weft.core.changes import LeaseChange
from weft.core.commands import BeginMove, Command, Delete, Path, Preconditions, RenewMac
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint


@pytest.fixture
def world() -> Life:
    return Life()


@pytest.mark.parametrize(
    ("command", "ref", "kind"),
    [(TakeCheckpoint("WEB1", "c1"), CHECKPOINT, "checkpoint"), (ExportMachine("web1", "e1"), EXPORT, "export")],
)
def test_a_capture_holds_every_address_beside_the_interface(world: Life, command: Command, ref: str, kind: str) -> None:
    decision = world.do(command)
    assert decision.resource == world.get("/weft/virtualMachines/web1")
    assert events(decision) == [("retained", "web1", "h1")] * 2
    name = ref.rpartition("/")[2]
    assert world.mac(0) == world.ip(2) == ("assigned", ["web1-eth0", name])
    lease = world.mac_lease("020000000000")
    assert lease is not None
    interface, capture = lease.holders
    assert (capture.kind, capture.ref) == (kind, ref)
    assert (capture.domain, capture.granted) == (interface.domain, True)
    p = world.get(ref).properties
    assert p.virtual_machine.resource_ref == "/weft/virtualMachines/web1"
    assert (p.power_state, p.created) == ("Off", "2023-11-14T22:13:20Z")
    one = p.network_interfaces[0]
    assert one.network_interface.resource_ref == "/networkInterfaces/web1-eth0"
    assert (one.mac_address, one.private_mac_allocation_method) == ("02-00-00-00-00-00", "Dynamic")
    assert one.ip_addresses[0].private_ip_address == "10.1.1.2"


def test_the_last_holder_lets_an_address_cool(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(TakeCheckpoint("web1", "c2"))
    world.machine("web1", "h1", "Off")
    assert [one[0] for one in events(world.delete("/networkInterfaces/web1-eth0"))] == ["retained", "retained"]
    assert world.mac(0) == world.ip(2) == ("retained", ["c1", "c2"])
    assert world.counts("/macpools/p1") == {"retained": 1, "free": 255}
    assert [one[0] for one in events(world.delete(CHECKPOINT))] == ["released", "released"]
    assert world.mac(0) == ("retained", ["c2"])
    world.delete(CHECKPOINT.replace("c1", "c2"))
    assert world.mac(0) == ("cooling", ["c2"])


@pytest.mark.parametrize(
    "path",
    [Path("virtualMachines", "web1", (("checkpoints", "C1"),)), Path("checkpoints", "WEB1~c1")],
)
def test_a_capture_is_deleted_by_both_its_names(world: Life, path: Path) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    refusal = world.refuses(Delete(path, Preconditions(if_match="other")))
    assert refusal.code == "PreconditionFailed"
    assert "checkpoints/" in refusal.message
    assert world.do(Delete(path, Preconditions(if_match=world.get(CHECKPOINT).etag))).outcome == "deleted"
    assert world.mac(0) == ("assigned", ["web1-eth0"])
    assert world.do(Delete(path)).outcome == "unchanged"


@pytest.mark.parametrize("ref", [CHECKPOINT, EXPORT, "/weft/checkpoints/web1~c1", "/weft/reservations/r1"])
def test_what_actions_make_is_not_put(world: Life, ref: str) -> None:
    if "/virtualMachines/" in ref:
        kind, name = ref.split("/")[-2:]
        command = put_command(f"/weft/{kind}/web1~{name}", {})
    else:
        command = put_command(ref, {})
    refusal = world.refuses(command)
    assert refusal.code == "OperationNotSupported"
    assert "action" in refusal.message


def test_a_machine_takes_its_checkpoints_along_but_not_its_exports(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(ExportMachine("web1", "e1"))
    world.delete("/weft/virtualMachines/web1")
    assert world.state.find_ref(CHECKPOINT) is None
    world.delete("/networkInterfaces/web1-eth0")
    assert world.mac(0) == ("retained", ["e1"])
    world.delete(EXPORT)
    assert world.mac(0) == ("cooling", ["e1"])


def test_names_are_used_once(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    refusal = world.refuses(TakeCheckpoint("web1", "C1"))
    assert refusal.code == "AlreadyExists"
    assert CHECKPOINT in refusal.message
    assert world.refuses(TakeCheckpoint("web1", "a~b")).code == "InvalidResourceName"
    assert world.refuses(TakeCheckpoint("none", "c1")).code == "NotFound"


def test_no_checkpoint_of_a_template_or_in_a_move(world: Life) -> None:
    world.do(Clone("web1", "gold", is_template=True))
    assert world.refuses(TakeCheckpoint("gold", "c1")).code == "MachineIsTemplate"
    world.power("web1", "Running")
    world.do(BeginMove("web1", "h2"))
    assert world.refuses(ExportMachine("web1", "e1")).code == "AnotherOperationInProgress"


def test_a_subnet_stays_while_a_capture_has_an_address_in_it(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.put("/networkInterfaces/web1-eth0", dynamic_interface(None))
    assert world.ip(2) == ("retained", ["c1"])
    for refusal in (
        world.refused_delete("/virtualNetworks/blue"),
        world.refused_delete("/virtualNetworks/blue/subnets/web"),
        world.refused("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/25"})),
    ):
        assert CHECKPOINT in refusal.message
    world.machine("web1", "h1", "Off")
    world.delete("/networkInterfaces/web1-eth0")
    refusal = world.refused_delete("/macPools/p1")
    assert CHECKPOINT in refusal.message
    assert "retained" in refusal.message


def test_a_machine_takes_its_own_captured_addresses_back_by_put_and_nobody_else_does(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.put("/networkInterfaces/web1-eth0", dynamic_interface(None))
    wanted = static_interface("0C0000000001", ip="10.1.1.2")
    refusal = world.refused("/networkInterfaces/other", wanted)
    assert (refusal.code, refusal.scope != "") == ("PrivateIPAddressInUse", True)
    assert CHECKPOINT in refusal.message
    body = dynamic_interface()
    body["ipConfigurations"][0]["properties"] |= {"privateIPAllocationMethod": "Static", "privateIPAddress": "10.1.1.2"}
    world.put("/networkInterfaces/web1-eth0", body)
    assert world.ip(2) == ("assigned", ["c1", "web1-eth0"])
    assert world.refused("/networkInterfaces/other", static_interface("020000000000")).code == "PrivateMacAddressInUse"


def test_an_unmanaged_address_is_captured_without_one(world: Life) -> None:
    subnet = {"resourceId": "vlan", "properties": {"vlanID": 7}}
    world.put("/logicalNetworks/wires", {"subnets": [subnet]})
    body = dynamic_interface("/logicalNetworks/wires/subnets/vlan")
    body["ipConfigurations"][0]["properties"]["privateIPAllocationMethod"] = "Unmanaged"
    world.put("/networkInterfaces/n2", body)
    world.machine("db1", "h1", "Off", "n2")
    world.do(TakeCheckpoint("db1", "c1"))
    captured = world.get("/weft/virtualMachines/db1/checkpoints/c1").properties.network_interfaces[0]
    assert captured.ip_addresses[0].private_ip_address is None
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/n2")
    assert "/checkpoints/c1" in world.refused_delete("/logicalNetworks/wires").message
    world.delete("/weft/virtualMachines/db1")
    world.delete("/logicalNetworks/wires")


def test_the_mark_of_a_restart_leaves_the_interface_as_last_holder(world: Life) -> None:
    """Else it could not have back at once what it gave up, and the history would speak of what no client made."""
    world.do(TakeCheckpoint("web1", "weft.restart-under-way"))
    world.do(RenewMac("web1", "web1-eth0"))
    world.do(TakeCheckpoint("web1", "c1"))
    decision = world.delete(f"{CHECKPOINT.rpartition('/')[0]}/weft.restart-under-way")
    assert "weft." not in " ".join(one.reason for one in decision.changes if isinstance(one, LeaseChange))
    assert world.mac(0) == ("cooling", ["web1-eth0"])
    assert world.mac(1) == ("assigned", ["web1-eth0", "c1"])
    world.do(RenewMac("web1", "web1-eth0", "020000000000"))
    assert world.addresses("web1-eth0") == "00 10.1.1.2"


def test_a_mark_beside_a_checkpoint_leaves_that_holding(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(TakeCheckpoint("web1", "weft.restart-under-way"))
    world.do(RenewMac("web1", "web1-eth0"))
    world.delete(f"{CHECKPOINT.rpartition('/')[0]}/weft.restart-under-way")
    assert world.mac(0) == ("retained", ["c1"])


def test_going_back_to_the_mark_is_said_as_what_it_is(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "weft.restart-under-way"))
    world.do(RenewMac("web1", "web1-eth0"))
    decision = world.do(Restore("web1", "weft.restart-under-way"))
    reasons = {one.reason for one in decision.changes if isinstance(one, LeaseChange)}
    assert reasons == {"back: it did not start with others"}
