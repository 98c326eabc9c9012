"""Restore: kept, restored, detached, refused; over all interfaces or not at all."""

import pytest

from tests.unit.core.life import WEB, Life, events
from tests.unit.core.restoring import WEB1, interfaces, outcomes, static_ip, world
from tests.unit.core.world import dynamic_interface, server_on, static_interface, virtual_network
from weft.core.commands import Batch, BeginMove, MarkMachine, RenewMac
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint

__all__ = ["world"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"machine": "none"}, "NotFound"),
        ({"checkpoint": "none"}, "NotFound"),
        ({"addresses": "new"}, "InvalidParameterValue"),
        ({"if_taken": "steal"}, "InvalidParameterValue"),
    ],
)
def test_a_wrong_restore_is_refused(world: Life, changed: dict[str, str], code: str) -> None:
    command = Restore(**{"machine": "web1", "checkpoint": "c1"} | changed)
    assert world.refuses(command).code == code


def test_what_is_as_captured_is_kept_even_while_it_runs(world: Life) -> None:
    world.power("web1", "Running")
    for addresses in ("captured", "keep"):
        decision = world.do(Restore("web1", "C1", addresses))
        assert (decision.outcome, decision.changes) == ("unchanged", ())
        assert outcomes(decision) == {"web1-eth0": "kept", "web1-eth1": "kept"}
        assert decision.report[0].before == decision.report[0].after == "02-00-00-00-00-00 10.1.1.2"


def test_addresses_come_back_and_the_present_ones_cool(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    instance = world.get("/networkInterfaces/web1-eth0").instance_id
    decision = world.do(Restore("web1", "c1"))
    assert outcomes(decision) == {"web1-eth0": "restored", "web1-eth1": "kept"}
    assert (decision.report[0].before, decision.report[0].after) == (
        "02-00-00-00-00-02 10.1.1.2",
        "02-00-00-00-00-00 10.1.1.2",
    )
    assert events(decision) == [("released", "web1", "h1"), ("assigned", "web1", "h1")]
    assert world.addresses("web1-eth0") == "00 10.1.1.2"
    assert world.get("/networkInterfaces/web1-eth0").instance_id == instance
    assert (world.mac(0)[0], world.mac(2)[0]) == ("assigned", "cooling")


def test_an_address_that_another_checkpoint_knows_is_retained_by_it(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    world.do(TakeCheckpoint("web1", "c2"))
    world.do(Restore("web1", "c1"))
    assert world.mac(2) == ("retained", ["c2"])
    world.do(Restore("web1", "c2"))
    assert world.mac(2) == ("assigned", ["c2", "web1-eth0"])


def test_keep_leaves_everything(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    decision = world.do(Restore("web1", "c1", "keep"))
    assert (decision.changes, set(outcomes(decision).values())) == ((), {"kept"})
    assert world.addresses("web1-eth0") == "02 10.1.1.2"


def test_a_running_machine_is_not_changed(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    world.power("web1", "Running")
    assert world.refuses(Restore("web1", "c1")).code == "MachineIsRunning"
    world.power("web1", "Saved")
    world.do(Restore("web1", "c1"))


def test_not_while_it_moves_nor_when_nobody_knows_it(world: Life) -> None:
    world.power("web1", "Running")
    world.do(BeginMove("web1", "h2"))
    assert world.refuses(Restore("web1", "c1")).code == "AnotherOperationInProgress"
    world.advance("web1", "failed")
    world.do(MarkMachine("web1", "deleted outside"))
    refusal = world.refuses(Restore("web1", "c1"))
    assert refusal.code == "MachineIsInactive"
    assert "deleted outside" in refusal.message


def test_interfaces_that_were_deleted_come_back_and_unknown_ones_are_detached(world: Life) -> None:
    world.machine("web1", "h1", "Off", "web1-eth1")
    world.delete("/networkInterfaces/web1-eth0")
    world.second("web1-eth2")
    decision = world.do(Restore("web1", "c1"))
    assert outcomes(decision) == {"web1-eth0": "restored", "web1-eth1": "kept", "web1-eth2": "detached"}
    by_name = {one.network_interface.rpartition("/")[2]: one for one in decision.report}
    assert (by_name["web1-eth0"].before, by_name["web1-eth2"].after) == ("", "")
    assert by_name["web1-eth2"].before == "02-00-00-00-00-02 10.1.1.4"
    assert interfaces(world) == ["web1-eth0", "web1-eth1"]
    assert world.addresses("web1-eth0") == "00 10.1.1.2"
    assert world.addresses("web1-eth2") == "02 10.1.1.4"
    assert world.state.machine_of("web1-eth2") is None
    assert ("moved", "", "") in events(decision)


def test_an_interface_that_was_only_taken_off_is_attached_again(world: Life) -> None:
    world.machine("web1", "h1", "Off", "web1-eth1")
    decision = world.do(Restore("web1", "c1"))
    assert outcomes(decision) == {"web1-eth0": "kept", "web1-eth1": "kept"}
    assert events(decision) == [("moved", "web1", "h1")] * 2
    assert interfaces(world) == ["web1-eth0", "web1-eth1"]


def test_an_interface_that_another_machine_has_now_is_made_anew(world: Life) -> None:
    world.machine("web1", "h1", "Off", "web1-eth1")
    world.machine("db1", "h1", "Off", "web1-eth0")
    decision = world.do(Restore("web1", "c1"))
    assert outcomes(decision) == {"web1-eth0-2": "restored", "web1-eth1": "kept"}
    assert world.mac(0) == ("assigned", ["web1-eth0", "c1", "web1-eth0-2"])
    world.power("db1", "Running")
    assert world.refuses(Restore("web1", "c1")).code == "AddressesTaken"
    decision = world.do(Restore("web1", "c1", if_taken="remap"))
    assert outcomes(decision) == {"web1-eth0-2": "remapped", "web1-eth1": "kept"}


def test_names_run_out(world: Life) -> None:
    world.machine("web1", "h1", "Off", "web1-eth1")
    world.machine("db1", "h1", "Off", "web1-eth0")
    for at in range(2, 1000):
        world.state.index.machine_of[f"web1-eth0-{at}"] = "db1"
        world.state._resources["networkInterfaces"][f"web1-eth0-{at}"] = world.get("/networkInterfaces/web1-eth0")
    assert world.refuses(Restore("web1", "c1")).code == "Conflict"


def test_interfaces_may_have_swapped_their_addresses(world: Life) -> None:
    world.put("/networkInterfaces/web1-eth0", {**dynamic_interface(), "ipConfigurations": [static_ip(9)]})
    world.put("/networkInterfaces/web1-eth1", {**dynamic_interface(), "ipConfigurations": [static_ip(2)]})
    world.put("/networkInterfaces/web1-eth0", {**dynamic_interface(), "ipConfigurations": [static_ip(3)]})
    decision = world.do(Restore("web1", "c1"))
    assert set(outcomes(decision).values()) == {"restored"}
    assert (world.addresses("web1-eth0"), world.addresses("web1-eth1")) == ("00 10.1.1.2", "01 10.1.1.3")
    assert world.ip(2) == ("assigned", ["c1", "web1-eth0"])


def test_ip_configurations_are_as_captured(world: Life) -> None:
    instance = world.get("/networkInterfaces/web1-eth0").properties.ip_configurations[0].instance_id
    world.put(
        "/networkInterfaces/web1-eth0", {**dynamic_interface(), "ipConfigurations": [static_ip(9), static_ip(8, "x")]}
    )
    world.put("/networkInterfaces/web1-eth1", {**dynamic_interface(), "ipConfigurations": []})
    world.do(Restore("web1", "c1"))
    assert (world.addresses("web1-eth0"), world.addresses("web1-eth1")) == ("00 10.1.1.2", "01 10.1.1.3")
    (own,) = world.get("/networkInterfaces/web1-eth0").properties.ip_configurations
    assert (own.instance_id, own.properties.private_ip_allocation_method) == (instance, "Dynamic")
    assert (world.ip(8)[0], world.ip(9)[0]) == ("cooling", "cooling")


def test_an_interface_that_went_to_another_network_comes_back(world: Life) -> None:
    world.network("red")
    world.put("/networkInterfaces/web1-eth0", dynamic_interface("/virtualNetworks/red/subnets/web"))
    decision = world.do(Restore("web1", "c1"))
    lease = world.mac_lease("020000000000")
    assert lease is not None
    assert {holder.domain for holder in lease.holders} == {WEB.lower()}
    assert ("assigned", "web1", "h1") in events(decision)
    assert world.ip(2, "red")[0] == "cooling"


# -- what a checkpoint did not know


def test_an_interface_that_had_no_address_yet_keeps_what_it_has_by_now(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", dynamic_interface(WEB, strategy="hostRange"))
    world.machine("db1", None, "Off", "w")
    world.do(TakeCheckpoint("db1", "c1"))
    assert outcomes(world.do(Restore("db1", "c1"))) == {"w": "kept"}
    world.machine("db1", "h1", "Off", "w")
    assert outcomes(world.do(Restore("db1", "c1"))) == {"w": "kept"}
    world.put("/networkInterfaces/w", {**dynamic_interface(None, strategy="hostRange")})
    assert outcomes(world.do(Restore("db1", "c1"))) == {"w": "restored"}
    assert world.addresses("w").startswith("00 10.1.1.")
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/w")
    assert outcomes(world.do(Restore("db1", "c1"))) == {"w": "restored"}
    assert world.addresses("w").startswith("-")
    world.power("db1", "Running")
    assert not world.addresses("w").startswith("-")


def test_a_twin_that_runs_counts_also_where_the_address_is_kept(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    world.power("web2", "Running")
    assert world.refuses(Restore("web1", "c1")).code == "AddressesTaken"
    world.power("web2", "Off")
    assert set(outcomes(world.do(Restore("web1", "c1"))).values()) == {"kept"}


def test_many_restores_are_one_batch(world: Life) -> None:
    world.do(Clone("web1", "web2"))
    world.do(TakeCheckpoint("web2", "c1"))
    for machine in ("web1", "web2"):
        world.do(RenewMac(machine, f"{machine}-eth0"))
    decision = world.do(Batch((Restore("web1", "c1"), Restore("web2", "c1"))))
    assert [outcomes(part)[f"{name}-eth0"] for name, part in zip(("web1", "web2"), decision.parts, strict=True)] == [
        "restored",
        "restored",
    ]
    world.power("web2", "Running")
    world.do(RenewMac("web2", "web2-eth0", force=True))
    refusal = world.refuses(Batch((Restore("web1", "c1"), Restore("web2", "c1"))))
    assert (refusal.code, refusal.position) == ("MachineIsRunning", 1)


def test_dual_stack_comes_back_in_both_families(world: Life) -> None:
    pair = {"dualStackSubnet": {"resourceRef": "/virtualNetworks/both/subnets/six"}}
    world.put(
        "/virtualNetworks/both",
        virtual_network({"four": {"addressPrefix": "10.2.0.0/24", **pair}, "six": "fd00:0:0:1::/64"}),
    )
    body = dynamic_interface("/virtualNetworks/both/subnets/four")
    six = {"resourceId": "ip2", "properties": {"subnet": {"resourceRef": "/virtualNetworks/both/subnets/six"}}}
    world.put("/networkInterfaces/d", {**body, "ipConfigurations": [*body["ipConfigurations"], six]})
    world.machine("db1", "h1", "Off", "d")
    had = world.addresses("d")
    world.do(TakeCheckpoint("db1", "c1"))
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/d")
    world.do(Restore("db1", "c1"))
    assert world.addresses("d") == had


def test_a_static_address_in_another_domain_is_no_twin(world: Life) -> None:
    world.network("red")
    world.put("/networkInterfaces/s", static_interface("0C0000000001"))
    world.machine("db1", "h1", "Off", "s")
    world.do(TakeCheckpoint("db1", "c1"))
    world.put("/networkInterfaces/r", static_interface("0C0000000001", "/virtualNetworks/red/subnets/web"))
    world.machine("db2", "h1", "Running", "r")
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/s")
    assert outcomes(world.do(Restore("db1", "c1"))) == {"s": "restored"}
    world.power("db1", "Running")


def test_an_interface_that_is_detached_may_have_a_captured_address(world: Life) -> None:
    world.machine("web1", "h1", "Off", "web1-eth1")
    world.delete("/networkInterfaces/web1-eth0")
    world.second("web1-eth2")
    world.put("/networkInterfaces/web1-eth2", {**dynamic_interface(), "ipConfigurations": [static_ip(2)]})
    world.do(Restore("web1", "c1"))
    assert world.ip(2) == ("assigned", ["c1", "web1-eth2", "web1-eth0"])
    assert world.refused(WEB1, {"networkInterfaces": [], "isTemplate": True}).code == "IsTemplateCannotBeUpdated"


def test_what_is_remapped_comes_from_the_pools_of_its_host_group(world: Life) -> None:
    world.put(
        "/macPools/a1",
        {"startMacAddress": "020000010000", "endMacAddress": "0200000100FF", "hostGroup": "rack1"},
    )
    world.put("/servers/h1", server_on("pa1") | {"hostGroup": "rack1"})
    world.do(Clone("web1", "web2", "keep"))
    world.power("web2", "Running")
    world.machine("web1", "h1", "Off", "web1-eth1")
    world.delete("/networkInterfaces/web1-eth0")
    world.do(Restore("web1", "c1", if_taken="remap"))
    for name in ("web1-eth0", "web1-eth1"):
        assert world.get(f"/networkInterfaces/{name}").properties.private_mac_address.startswith("0200000100")
