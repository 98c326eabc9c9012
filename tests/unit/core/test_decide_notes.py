"""NoteHost, NoteMachine, NoteMacs, NoteCheckpoints: what hosts say becomes the record, or is refused as all else is."""

from typing import Any

import pytest

from tests.unit.core.life import Life, events
from weft.core.commands import BeginMove, Failover, MarkMachine, NoteSeen, RenewMac, Seen
from weft.core.copy_commands import Clone, TakeCheckpoint
from weft.core.host_facts import NoteCheckpoints, NoteHost, NoteMachine, NoteMacs, NoteProviderNetwork
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption
from weft.model.hypervisor import AdapterState, CheckpointState
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac

OTHER = parse_mac("00-15-5D-00-00-07")
POOL0 = parse_mac("020000000000")


@pytest.fixture
def world() -> Life:
    return Life()


def p(world: Life, name: str = "web1") -> Any:
    return world.get(f"/weft/virtualMachines/{name}").properties


def mac(world: Life, name: str = "web1-eth0") -> int:
    return int(world.get(f"/networkInterfaces/{name}").properties.private_mac_address, 16)


def adapters(*macs: int) -> tuple[AdapterState, ...]:
    return tuple(map(AdapterState, macs))


# -- hosts


def test_a_hosts_own_range_is_noted_once(world: Life) -> None:
    assert world.do(NoteHost("H1", (OTHER, OTHER + 7))).outcome == "done"
    drawn = world.get("/servers/h1").properties.dynamic_mac_range
    assert (drawn.first, drawn.last) == ("00-15-5D-00-00-07", "00-15-5D-00-00-0E")
    assert world.do(NoteHost("h1", (OTHER, OTHER + 7))).outcome == "unchanged"
    assert world.refuses(NoteHost("h9", (0, 1))).code == "InvalidResourceReference"


# -- machines


def test_power_and_identity_are_noted_once(world: Life) -> None:
    decision = world.do(NoteMachine("WEB1", "h1", "Running", "hyperv", "V1"))
    assert (p(world).power_state, p(world).hypervisor.type, p(world).hypervisor.id) == ("Running", "hyperv", "V1")
    assert events(decision) == []
    assert world.do(NoteMachine("web1", "h1", "Running", "hyperv", "V1")).outcome == "unchanged"
    world.do(NoteMachine("web1", "h1", "Off"))
    assert (p(world).power_state, p(world).hypervisor.id) == ("Off", "V1")


def test_a_put_that_leaves_the_identity_out_keeps_it(world: Life) -> None:
    world.do(NoteMachine("web1", "h1", "", "hyperv", "V1"))
    world.machine("web1", "h1", "Off", "web1-eth0")
    assert p(world).hypervisor.id == "V1"


def test_a_start_beside_a_twin_is_refused_as_every_start_is(world: Life) -> None:
    world.do(Clone("web1", "web2", addresses="keep"))
    world.do(NoteMachine("web2", "h1", "Running"))
    assert world.refuses(NoteMachine("web1", "h1", "Running")).code == "ActiveTwin"
    assert world.refuses(NoteMachine("web1", "h2", "Running")).code == "ActiveTwin"
    assert world.do(NoteMachine("web1", "h2", "Off")).outcome == "done", "where it is it may be all the same"


def test_a_machine_is_bound_where_it_is(world: Life) -> None:
    world.do(MarkMachine("web1", "deleted outside on h1"))
    decision = world.do(NoteMachine("web1", "H2", "Running"))
    assert (p(world).server.resource_ref, p(world).power_state, p(world).inactive) == ("/servers/h2", "Running", "")
    assert world.inactive("web1-eth0") == {0.0}
    assert [one for one in events(decision) if one[0] != "granted"] == [("active", "web1", "h2")] * 2
    assert world.get("/servers/h2").properties.provider_addresses


def test_what_is_seen_where_it_is_may_be_the_machine_itself(world: Life) -> None:
    world.do(NoteSeen("h2", (Seen(mac(world), "vnet1"),)))
    assert world.refuses(NoteMachine("web1", "h2", "Running")).code == "ActiveTwin"
    assert world.refuses(NoteMachine("web1", "h1", "Running", alone=True)).code == "ActiveTwin"
    world.do(NoteMachine("web1", "h2", "Running", alone=True))
    assert p(world).power_state == "Running"


def test_a_machine_of_no_server_is_bound_where_it_is(world: Life) -> None:
    world.machine("web1", None, "Off", "web1-eth0")
    world.do(NoteMachine("web1", "h2", "Off"))
    assert p(world).server.resource_ref == "/servers/h2"


def test_a_machine_that_was_gone_and_starts_is_there_again(world: Life) -> None:
    world.do(MarkMachine("web1", "deleted outside on h1"))
    world.do(NoteMachine("web1", "h1", "Running"))
    assert (p(world).inactive, world.inactive("web1-eth0")) == ("", {0.0})


def test_a_machine_that_would_be_defined_anew_has_no_id_any_more(world: Life) -> None:
    ref = {"server": {"resourceRef": "/servers/h1"}, "hypervisor": {"type": "libvirt", "id": "V1"}}
    world.put("/weft/virtualMachines/made", ref | {"hardware": {"cpu": 1}})
    world.put("/weft/virtualMachines/adopted", ref)
    for name, own in (("made", None), ("adopted", "V1")):
        world.do(MarkMachine(name, "deleted outside on h1"))
        known = p(world, name).hypervisor
        assert (known.id if known is not None else None) == own


def test_what_moves_or_is_a_template_is_nobodys_to_note(world: Life) -> None:
    world.do(Clone("web1", "gold", is_template=True))
    assert world.do(NoteMachine("gold", "h2", "Running")).outcome == "unchanged"
    world.power("web1", "Running")
    world.do(BeginMove("web1", "h2"))
    assert world.refuses(NoteMachine("web1", "h2", "Off")).code == "AnotherOperationInProgress"


# -- rollbacks


def test_a_captured_address_comes_back_and_keeps_its_capture(world: Life) -> None:
    old = mac(world)
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(RenewMac("web1", "web1-eth0"))
    new = mac(world)
    decision = world.do(NoteMacs("web1", "h1", adapters(old)))
    assert mac(world) == old
    assert sorted(world.mac(old - POOL0)[1]) == ["c1", "web1-eth0"] and world.mac(new - POOL0)[0] == "cooling"
    assert {one.reason for one in decision.changes if hasattr(one, "reason")} == {"rollback seen on h1"}
    held = world.state.lease(MAC_SCOPE, old).holders
    assert all(one.granted for one in held), "picked by Weft, as it was"
    assert world.do(NoteMacs("web1", "h1", adapters(old))).outcome == "unchanged"


def test_an_address_that_nobody_has_is_followed_and_one_that_another_has_is_not(world: Life) -> None:
    world.interface("web2-eth0")
    world.machine("web2", "h1", "Off", "web2-eth0")
    own = mac(world)
    for told in ((mac(world, "web2-eth0"),), (0,), (own,), (), (1, 2)):
        assert world.do(NoteMacs("web1", "h1", adapters(*told))).outcome == "unchanged"
    decision = world.do(NoteMacs("web1", "h1", adapters(OTHER)))
    assert mac(world) == OTHER and world.mac(own - POOL0)[0] == "cooling"
    assert {one.reason for one in decision.changes if hasattr(one, "reason")} == {"its adapter has it on h1"}


def test_adapters_that_swapped_swap_and_two_with_one_address_do_not(world: Life) -> None:
    world.second()
    one, two = mac(world), mac(world, "web1-eth1")
    ids = [world.get(f"/networkInterfaces/web1-eth{at}").instance_id for at in (0, 1)]
    swapped = (AdapterState(two, ids[0].upper()), AdapterState(one, ids[1]))
    world.do(NoteMacs("web1", "h1", swapped))
    assert (mac(world), mac(world, "web1-eth1")) == (two, one)
    both = (AdapterState(OTHER, ids[0]), AdapterState(OTHER, ids[1]))
    assert world.do(NoteMacs("web1", "h1", both)).outcome == "unchanged"
    world.interface("web2-eth0")
    other = mac(world, "web2-eth0")
    stuck = (AdapterState(one, ids[0]), AdapterState(other, ids[1]))
    assert world.do(NoteMacs("web1", "h1", stuck)).outcome == "unchanged", "what the second keeps the first cannot have"


def test_what_is_seen_on_its_own_host_is_the_machine_itself_and_elsewhere_another(world: Life) -> None:
    world.do(NoteSeen("h2", (Seen(OTHER, "vnet1"),)))
    assert world.do(NoteMacs("web1", "h1", adapters(OTHER))).outcome == "unchanged"
    world.do(NoteSeen("h2", ()))
    world.do(NoteSeen("h1", (Seen(OTHER, "vnet1"),)))
    assert world.do(NoteMacs("web1", "h1", adapters(OTHER), alone=False)).outcome == "unchanged"
    world.do(NoteMacs("web1", "h1", adapters(OTHER)))
    assert mac(world) == OTHER


def test_an_interface_that_waits_for_its_range_takes_what_its_adapter_has(world: Life) -> None:
    world.put("/networkInterfaces/w", {"privateMacAllocationMethod": "Dynamic", "strategy": "hostRange"})
    world.machine("w", None, "Off", "w")
    world.do(NoteMacs("w", "h1", adapters(OTHER)))
    assert mac(world, "w") == OTHER


# -- checkpoints


def told(own: str, name: str, *macs: int, running: bool = False) -> CheckpointState:
    return CheckpointState(own, name, adapters(*macs), running)


def note(world: Life, *every: CheckpointState) -> dict[str, Any]:
    """The machine's checkpoints by name afterwards."""
    world.do(NoteCheckpoints("web1", "h1", every))
    found = world.state.owned("checkpoints", "web1")
    return {one.resource_id.partition("~")[2]: one.properties for one in found}


def test_a_hosts_checkpoint_holds_what_it_names_until_it_goes(world: Life) -> None:
    found = note(world, told("c-1", "one", mac(world), running=True), told("c-2", "two", OTHER), told("c-3", "zero", 0))
    assert [one.hypervisor_id for one in found.values()] == ["c-1", "c-2", "c-3"]
    assert [one.power_state for one in found.values()] == ["Running", "Off", "Off"]
    assert [one.network_interfaces[0].mac_address for one in found.values()][1:] == ["00-15-5D-00-00-07", ""]
    assert sorted(world.mac(0)[1]) == ["one", "web1-eth0"]
    assert sorted(world.ip(2)[1]) == ["one", "two", "web1-eth0", "zero"], "with the addresses of now"
    assert (
        world.do(
            NoteCheckpoints(
                "web1", "h1", (told("c-1", "one", mac(world)), told("c-2", "two", OTHER), told("C-3", "renamed", 0))
            )
        ).outcome
        == "unchanged"
    )
    assert note(world) == {}
    assert world.mac(0)[1] == ["web1-eth0"] and world.state.lease(MAC_SCOPE, OTHER) is None


def test_a_checkpoint_that_is_rewritten_holds_the_other_address(world: Life) -> None:
    note(world, told("c-1", "one", OTHER))
    note(world, told("c-1", "one", mac(world)))
    assert sorted(world.mac(0)[1]) == ["one", "web1-eth0"] and world.state.lease(MAC_SCOPE, OTHER) is None
    note(world, told("c-1", "one", 0))
    assert world.mac(0)[1] == ["web1-eth0"]


def test_what_a_checkpoint_has_of_an_interface_that_is_gone_stays(world: Life) -> None:
    world.second()
    one, two = mac(world), mac(world, "web1-eth1")
    note(world, told("c-1", "one", one, two))
    world.machine("web1", "h1", "Off", "web1-eth0")
    found = note(world, told("c-1", "one", OTHER))
    assert [each.mac_address[-2:] for each in found["one"].network_interfaces] == ["07", "01"]
    assert sorted(world.mac(1)[1]) == ["one", "web1-eth1"]


def test_checkpoints_of_weft_are_found_by_name_and_its_own_marks_are_left_alone(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "One"))
    world.do(TakeCheckpoint("web1", "ledger-only"))
    world.do(TakeCheckpoint("web1", "weft.before"))
    found = note(world, told("c-1", "one", mac(world)), told("c-2", "weft.before", mac(world)))
    assert found["One"].hypervisor_id == "c-1" and not found["ledger-only"].hypervisor_id
    assert not found["weft.before"].hypervisor_id
    [name] = found.keys() - {"One", "ledger-only", "weft.before"}
    assert name.startswith("of-weft.before-") and found[name].hypervisor_id == "c-2"
    assert set(note(world)) == {"ledger-only", "weft.before"}


def test_names_that_would_be_spelt_alike_are_told_apart(world: Life) -> None:
    found = note(world, told("c-1", "Büro", 0), told("c-2", "Büro", 0), told("c-3", "日本", 0))
    names = sorted(found)
    assert names[0] == "Buro" and names[1].startswith("Buro-") and names[2].startswith("vm-")


def test_adapters_without_an_interface_keep_their_address_too(world: Life) -> None:
    found = note(world, told("c-1", "one", mac(world), OTHER, 0))
    named = [one.network_interface.resource_ref for one in found["one"].network_interfaces]
    assert named == ["/networkInterfaces/web1-eth0", "/networkInterfaces/web1-eth1"]
    assert world.holders(MAC_SCOPE, OTHER) == ["/weft/virtualMachines/web1/checkpoints/one"]


def test_a_failover_keeps_the_hypervisors_id(world: Life) -> None:
    world.do(NoteMachine("web1", "h1", "", "hyperv", "V1"))
    world.do(Failover("web1", "h2"))
    assert p(world).hypervisor.id == "V1"


def test_a_hosts_place_on_the_provider_network_is_noted_once_and_survives_a_put(world: Life) -> None:
    told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))
    assert world.do(NoteProviderNetwork("H1", told)).outcome == "done"
    assert world.get("/servers/h1").properties.provider_network == told
    assert world.do(NoteProviderNetwork("h1", told)).outcome == "unchanged"
    assert world.do(NoteProviderNetwork("h1", None)).outcome == "done"
    assert world.get("/servers/h1").properties.provider_network is None
    assert world.refuses(NoteProviderNetwork("h9", told)).code == "InvalidResourceReference"
