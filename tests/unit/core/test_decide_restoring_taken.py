"""Restore of addresses that others have by now: refused, or remapped."""

import pytest

from tests.unit.core.life import CHECKPOINT, Life
from tests.unit.core.restoring import outcomes, static_ip, world
from tests.unit.core.world import dynamic_interface, static_interface
from weft.core.commands import NoteSeen, RenewMac, Seen
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.model.values import parse_mac

__all__ = ["world"]


def twin_runs(world: Life) -> None:
    """A copy has all of web1's addresses and runs with them; web1 has others for eth0."""
    world.do(Clone("web1", "web2", "keep"))
    world.do(RenewMac("web1", "web1-eth0"))
    world.put("/networkInterfaces/web1-eth0", {**dynamic_interface(), "ipConfigurations": [static_ip(9)]})
    world.power("web2", "Running")


def test_what_a_running_twin_has_is_refused_naming_it(world: Life) -> None:
    twin_runs(world)
    refusal = world.refuses(Restore("web1", "c1"))
    assert (refusal.code, refusal.target) == ("AddressesTaken", "/weft/virtualMachines/web2")
    assert "running virtual machine web2" in refusal.message
    assert (refusal.scope[:3], refusal.asker) == ("ip4", "/networkInterfaces/web1-eth0")
    # all that stands in the way is named at once
    for text in ("10.1.1.2 of", "02-00-00-00-00-00 of", "10.1.1.3 of", "02-00-00-00-00-01 of"):
        assert text in refusal.message
    world.power("web2", "Off")
    assert set(outcomes(world.do(Restore("web1", "c1"))).values()) == {"restored", "kept"}


def test_what_a_running_twin_has_is_remapped(world: Life) -> None:
    twin_runs(world)
    decision = world.do(Restore("web1", "c1", if_taken="remap"))
    assert set(outcomes(decision).values()) == {"remapped"}
    assert world.addresses("web1-eth0") == "03 10.1.1.4"
    assert world.addresses("web1-eth1") == "04 10.1.1.5"
    assert world.mac(1) == ("assigned", ["c1", "web2-eth1"])
    reasons = {change.reason for change in decision.changes if getattr(change, "event", "") == "granted"}
    assert f"instead of 10.1.1.2 of {CHECKPOINT}" in reasons
    world.power("web1", "Running")


def test_a_static_address_that_is_remapped_becomes_dynamic(world: Life) -> None:
    world.put("/networkInterfaces/s", static_interface("0C0000000001", ip="10.1.1.77"))
    world.machine("db1", "h1", "Off", "s")
    world.do(TakeCheckpoint("db1", "c1"))
    world.do(Clone("db1", "db2", "keep"))
    world.power("db2", "Running")
    world.do(Restore("db1", "c1", if_taken="remap"))
    p = world.get("/networkInterfaces/s").properties
    assert p.private_mac_allocation_method == "Dynamic"
    assert p.ip_configurations[0].properties.private_ip_allocation_method == "Dynamic"
    world.put("/networkInterfaces/s", dynamic_interface())


def test_nothing_is_changed_when_one_address_of_many_is_taken(world: Life) -> None:
    twin_runs(world)
    world.do(Clone("web1", "web3", "keep"))
    before = world.addresses("web1-eth0"), world.addresses("web1-eth1")
    world.refuses(Restore("web1", "c1"))
    assert (world.addresses("web1-eth0"), world.addresses("web1-eth1")) == before


def test_a_port_that_a_switch_sees_keeps_an_address_away(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    world.do(NoteSeen("h2", (Seen(parse_mac("020000000000"), "vnet9", vlan=77),)))
    refusal = world.refuses(Restore("web1", "c1"))
    assert (refusal.code, refusal.target) == ("AddressesTaken", "/servers/h2/ports/vnet9")
    decision = world.do(Restore("web1", "c1", if_taken="remap"))
    assert outcomes(decision)["web1-eth0"] == "remapped"
    assert world.addresses("web1-eth0") == "03 10.1.1.2"


def test_a_stranger_that_is_off_keeps_an_address_away_and_is_named_as_what_it_is(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    world.do(NoteSeen("h2", (Seen(parse_mac("020000000000"), "pc.id1", "br0", off=True),)))
    refusal = world.refuses(Restore("web1", "c1"))
    assert (refusal.code, refusal.target) == ("AddressesTaken", "/servers/h2/machines/pc.id1")
    assert "pc.id1 on h2, a machine that is off and none of ours, has it." in refusal.message
    assert "another address, or import it with addresses new" in refusal.message
    assert "top what has it" not in refusal.message
    assert outcomes(world.do(Restore("web1", "c1", if_taken="remap")))["web1-eth0"] == "remapped"


def test_a_hosts_own_interface_has_no_twin(world: Life) -> None:
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": {"vlanID": 7}}]})
    world.put("/networkInterfaces/s", static_interface("0C0000000001", None))
    world.machine("db1", "h1", "Off", "s")
    world.do(TakeCheckpoint("db1", "c1"))
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/s")
    # another L2 domain at first, which may be joined with ours later
    body = static_interface("0C0000000002", None)
    world.put("/networkInterfaces/own", body | {"isHostVirtualNetworkInterface": True})
    lease = world.mac_lease("0C0000000001")
    assert lease is not None
    inject_holder(world, "/networkInterfaces/own")
    refusal = world.refuses(Restore("db1", "c1"))
    assert (refusal.code, "host's own interface" in refusal.message) == ("AddressesTaken", True)


@pytest.mark.parametrize(("kind", "refused"), [("server", True), ("export", False), ("networkInterface", False)])
def test_who_keeps_an_address_from_coming_back(world: Life, kind: str, refused: bool) -> None:
    world.put("/networkInterfaces/s", static_interface("0C0000000001", None))
    world.machine("db1", "h1", "Off", "s")
    world.do(TakeCheckpoint("db1", "c1"))
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/s")
    inject_holder(world, "/networkInterfaces/web1-eth0" if kind == "networkInterface" else "/other", kind)
    if refused:
        assert world.refuses(Restore("db1", "c1")).target == "/other"
    else:
        world.decide(Restore("db1", "c1"))


def inject_holder(world: Life, ref: str, kind: str = "networkInterface") -> None:
    """Another holder of the static address, as only older states, adoption or a joined segment bring about."""
    from weft.core.changes import LeaseChange
    from weft.model.leases import ASSIGNED, MAC_SCOPE, Holder, Lease

    mac = parse_mac("0C0000000001")
    before = world.state.lease(MAC_SCOPE, mac)
    assert before is not None
    after = Lease(MAC_SCOPE, mac, ASSIGNED, (*before.holders, Holder(kind, ref)))
    world.state.apply(LeaseChange(MAC_SCOPE, mac, before, after, "assigned"))
