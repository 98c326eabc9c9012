"""The state itself: finding, indexes, leases of every kind, apply and revert, and the draft of a decision."""

import copy
from types import SimpleNamespace

import pytest

from tests.unit.core.life import Life
from tests.unit.core.world import World, dynamic_interface, put_command, scope_of, static_interface, virtual_network
from weft.core.changes import CursorChange, LeaseChange
from weft.core.commands import EndCoolDowns, Path
from weft.core.copy_commands import Clone
from weft.core.decide.draft import Draft
from weft.core.layout import RDID_POOL
from weft.core.pools import Pool, PoolSpec, merge
from weft.core.state import State, path_of
from weft.core.words import address_text
from weft.model.kinds import KINDS
from weft.model.leases import MAC_SCOPE, RDID_SCOPE, Holder, Lease
from weft.model.values import parse_mac


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    world.network("blue")
    return world


def inject(world: World, lease: Lease) -> None:
    """Put a lease as a later issue will: retained by a checkpoint, seen on the wire, held for a purpose."""
    before = world.state.lease(lease.scope, lease.address)
    world.state.apply(LeaseChange(lease.scope, lease.address, before, lease, "reserved"))


# -- finding


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("/virtualNetworks/blue", "blue"),
        ("/VIRTUALNETWORKS/BLUE/", "blue"),
        ("/virtualNetworks/blue/Subnets/WEB", "web"),
        ("/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool", "pool"),
        ("/servers/h1/networkInterfaces/nic1", "nic1"),
        ("/networking/virtualNetworks/blue", None),
        ("/virtualNetworks/red", None),
        ("/virtualNetworks/red/subnets/web", None),
        ("/virtualNetworks/blue/peerings/web", None),
        ("/virtualNetworks/blue/peerings/web/x/y", None),
        ("/virtualNetworks/blue/subnets", None),
        ("/virtualNetworks//subnets/web", None),
        ("/gateways/g", None),
        ("", None),
    ],
)
def test_a_reference_is_found_in_any_case(world: World, ref: str, name: str | None) -> None:
    found = world.state.find_ref(ref)
    assert (found.resource_id if found is not None else None) == name


def test_references_of_ours_begin_with_weft(world: World) -> None:
    world.machine("web1")
    assert world.get("/weft/virtualMachines/WEB1") is world.state.find(Path("virtualmachines", "web1"))
    assert path_of("/weft/virtualMachines/a") == Path("virtualMachines", "a")
    assert path_of("/weft") is None


def test_what_is_unknown_has_no_relations(world: World) -> None:
    state = world.state
    assert state.machine_of("none") is None
    assert list(state.interfaces_in("/virtualNetworks/none")) == []
    assert list(state.machines_on("none")) == []
    assert (state.servers_of("none"), state.networks_on("none")) == ([], [])
    assert state.lease("ip4/nowhere", 1) is None
    assert dict(state.leases("ip4/nowhere")) == {}
    assert state.space("/macpools/none") is None
    assert state.by_instance("none") is None
    assert state.addresses.pool_of("ip4/nowhere", 1) is None


def test_interfaces_are_found_by_subnet_and_by_network(world: World) -> None:
    world.interface("n1")
    for ref in ("/VirtualNetworks/Blue", "/virtualNetworks/blue/subnets/web"):
        assert [one.resource_id for one in world.state.interfaces_in(ref)] == ["n1"]
    world.delete("/networkInterfaces/n1")
    assert list(world.state.interfaces_in("/virtualNetworks/blue")) == []
    assert world.state.index.subnets_used == {}


def test_a_network_names_an_interface_of_two_of_its_subnets_once(world: World) -> None:
    four, six = (f"/virtualNetworks/both/subnets/{name}" for name in ("four", "six"))
    pair = {"addressPrefix": "10.2.0.0/24", "dualStackSubnet": {"resourceRef": six}}
    world.put("/virtualNetworks/both", virtual_network({"four": pair, "six": "fd00:0:0:1::/64"}))
    subnets = [
        {"resourceId": name, "properties": {"subnet": {"resourceRef": ref}}}
        for name, ref in zip("ab", (four, six), strict=True)
    ]
    world.put("/networkInterfaces/n1", {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": subnets})
    world.interface("n2", four)
    for ref, ids in ((four, ["n1", "n2"]), (six, ["n1"]), ("/virtualNetworks/both", ["n1", "n2"])):
        assert sorted(one.resource_id for one in world.state.interfaces_in(ref)) == ids


def test_what_interfaces_say_alike_is_one_object(world: World) -> None:
    """A million of them are kept in memory."""
    interface = world.interface("n1")
    machine = world.machine("web1", "h1", "Off", "n1").properties
    (address,) = interface.properties.ip_configurations
    (mac,) = world.state.leases(MAC_SCOPE).values()
    (ip,) = (
        lease for lease in world.state.leases(scope_of("blue")).values() if lease.holders[0].ref == mac.holders[0].ref
    )
    assert mac.holders[0] is ip.holders[0]
    assert machine.network_interfaces[0].resource_ref is mac.holders[0].ref
    assert machine.server is world.machine("web2", "h1", "Off").properties.server
    assert address.etag is interface.etag and len(interface.etag) <= 15
    assert address.properties.subnet is world.interface("n2").properties.ip_configurations[0].properties.subnet


# -- leases that no interface holds


@pytest.mark.parametrize("state", ["retained", "foreign", "reserved"])
def test_a_lease_of_any_state_is_counted_and_taken_by_nobody(world: World, state: str) -> None:
    mac = parse_mac("020000000000")
    inject(world, Lease(MAC_SCOPE, mac, state, (Holder("checkpoint", "/weft/virtualMachines/a/checkpoints/c"),)))
    assert world.counts("/macpools/p1") == {state: 1, "free": 15}
    refusal = world.refused("/networkInterfaces/n1", static_interface("020000000000"))
    assert refusal.code == "PrivateMacAddressInUse"
    assert f"is {state}: /weft/virtualMachines/a/checkpoints/c has it" in refusal.message
    assert world.interface("n2").properties.private_mac_address == "020000000001"
    inject(world, Lease(MAC_SCOPE, mac, state, (), reason="seen on port 7"))
    assert "seen on port 7" in world.refused("/networkInterfaces/n1", static_interface("020000000000")).message


def test_a_retained_address_keeps_its_pool(world: World) -> None:
    inject(world, Lease(MAC_SCOPE, parse_mac("020000000003"), "retained", (Holder("checkpoint", "/c"),)))
    assert world.refused_delete("/macPools/p1").code == "InUseMacPoolCannotBeDeleted"


def test_a_lease_outside_of_every_pool_may_change_its_state(world: World) -> None:
    before = copy.deepcopy(world.state)
    mac = parse_mac("101010101105")
    seen = Lease(MAC_SCOPE, mac, "foreign", (), reason="seen")
    held = Lease(MAC_SCOPE, mac, "assigned", (Holder("networkInterface", "/networkInterfaces/x"),))
    changes = [
        LeaseChange(MAC_SCOPE, mac, None, seen, "reserved"),
        LeaseChange(MAC_SCOPE, mac, seen, held, "assigned"),
        LeaseChange(MAC_SCOPE, mac, held, None, "released"),
    ]
    for change in changes:
        world.state.apply(change)
    assert world.state == before
    for change in reversed(changes):
        world.state.revert(change)
    assert world.state == before


def test_a_gateway_may_be_an_address_that_only_cools(world: World) -> None:
    pool = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.20"}
    subnet = {"addressPrefix": "172.16.0.0/24", "ipPools": [{"resourceId": "p", "properties": pool}]}
    world.put("/logicalNetworks/office", {})
    world.put("/logicalNetworks/office/subnets/lan", subnet)
    world.put("/networkInterfaces/n1", dynamic_interface("/logicalNetworks/office/subnets/lan"))
    world.delete("/networkInterfaces/n1")
    world.put("/logicalNetworks/office/subnets/lan", subnet | {"defaultGateways": ["172.16.0.10"]})
    assert world.counts("/logicalnetworks/office/subnets/lan/ippools/p") == {"cooling": 1, "free": 10}
    world.wait(3600)
    assert world.counts("/logicalnetworks/office/subnets/lan/ippools/p") == {"reserved": 1, "free": 10}


# -- cooling


def test_an_address_that_cools_twice_cools_its_whole_second_time(world: World) -> None:
    body = static_interface("020000000005")
    for _ in range(2):
        world.put("/networkInterfaces/n1", body)
        world.delete("/networkInterfaces/n1")
        world.wait(3000)
    assert world.mac_lease("020000000005") is not None
    assert world.state.cooling_ends() == 1000.0 + 3000 + 3600
    world.wait(600)
    assert world.mac_lease("020000000005") is None


def test_cool_downs_end_in_order_and_as_many_as_asked(world: World) -> None:
    for at in range(5):
        world.interface(f"n{at}", None)
    for at in range(5):
        world.delete(f"/networkInterfaces/n{at}")
        world.wait(1)
    world.now = type(world.now)(world.now.ledger + 9000, world.now.wall)
    first = world.decide(EndCoolDowns(2))
    assert first == world.decide(EndCoolDowns(2))
    assert [change.address & 0xFF for change in first.changes] == [0, 1]
    assert {change.event for change in first.changes} == {"expired"}
    assert world.do(EndCoolDowns()).outcome == "done"
    assert world.do(EndCoolDowns()).outcome == "unchanged"
    assert world.state.addresses.cooling == 0


def test_a_state_that_was_stored_and_loaded_cools_on(world: World) -> None:
    world.interface("n1")
    world.delete("/networkInterfaces/n1")
    state = world.state
    stored = SimpleNamespace(
        generation="g2",
        revision=7,
        resources={kind.name: list(state.all(kind.name)) for kind in reversed(KINDS)},
        leases=[lease for scope in state.addresses.leases for lease in state.leases(scope).values()],
        cursors={**state.cursors, "old": 0},
    )
    loaded = State.load(stored)
    assert (loaded.generation, loaded.revision) == ("g2", 7)
    assert loaded == state
    assert len(loaded.next_cooled(1000.0 + 3600)) == 2
    assert loaded.next_cooled(1000.0 + 3599) == []


# -- changes


def test_equal_states_are_equal_and_others_are_not(world: World) -> None:
    other = copy.deepcopy(world.state)
    assert other == world.state
    other.apply(CursorChange("x", 0, 5))
    assert other != world.state
    other.revert(CursorChange("x", 0, 5))
    assert other == world.state
    assert world.state != 5
    assert world.state.addresses != 5
    assert world.state.index != 5
    for unhashable in (world.state, world.state.addresses, world.state.index):
        with pytest.raises(TypeError):
            hash(unhashable)


def test_the_last_address_of_a_pool_turns_its_cursor_to_the_first(world: World) -> None:
    world.put("/macPools/p0", {"startMacAddress": "02F000000000", "endMacAddress": "02F000000001"})
    changes = [world.put(f"/networkInterfaces/n{at}", dynamic_interface(None)).changes for at in range(2)]
    cursors = [one for change in changes for one in change if isinstance(one, CursorChange)]
    first = parse_mac("02F000000000")
    assert [(one.before, one.after) for one in cursors] == [(0, first + 1), (first + 1, first)]


def test_routing_domains_can_run_out() -> None:
    world = World()
    world.fabric()
    only = PoolSpec(RDID_SCOPE, RDID_SCOPE, RDID_SCOPE, 1, 1)
    world.state.addresses.turn_layout(((RDID_POOL,), ()), ((only,), ()))
    world.network("blue")
    assert world.refused("/virtualNetworks/red", virtual_network({})).code == "RoutingDomainsExhausted"


def test_a_draft_makes_one_change_of_an_address_that_turns_twice(world: World) -> None:
    draft = Draft(world.state, world.now, world.new_id)
    cooling = Lease("ip4/x", 5, "cooling", until=9.0)
    held = Lease("ip4/x", 5, "assigned")
    assert draft.is_empty()
    draft.turn(None, held, "assigned")
    assert draft.lease("ip4/x", 5) == held
    draft.turn(held, cooling, "released")
    assert draft.changes() == (LeaseChange("ip4/x", 5, None, cooling, "released"),)
    assert draft.lease("ip4/x", 6) is None


# -- pools


def test_exclusions_are_put_in_order_and_made_disjoint() -> None:
    assert merge([(5, 9, "b"), (1, 6, "a"), (2, 3, "c"), (20, 21, "d")]) == ((1, 6, "a"), (7, 9, "b"), (20, 21, "d"))


def test_pools_are_equal_by_what_they_hold() -> None:
    spec = PoolSpec("k", "K", "s", 10, 19, excluded=((12, 13, "x"),))
    one, other = Pool(spec), Pool(spec)
    assert one == other
    one.note(15, None, "assigned")
    assert one != other
    one.note(15, "assigned", "cooling")
    one.note(15, "cooling", None)
    assert one == other
    assert one != 5
    with pytest.raises(TypeError):
        hash(one)


def test_the_next_free_address_wraps_from_any_cursor() -> None:
    pool = Pool(PoolSpec("k", "K", "s", 10, 12))
    assert [pool.next_free(at) for at in (0, 10, 12, 13)] == [10, 10, 12, 10]
    pool.note(12, None, "assigned")
    assert pool.next_free(12) == 10
    for address in (10, 11):
        pool.note(address, None, "assigned")
    assert pool.next_free(11) is None


@pytest.mark.parametrize(
    ("scope", "address", "text"),
    [
        ("mac", 0x02000000000A, "02-00-00-00-00-0A"),
        ("vsid", 6001, "6001"),
        (scope_of("blue"), 0x0A010203, "10.1.2.3"),
        (scope_of("blue", 6), 0xFD << 120 | 1, "fd00::1"),
    ],
)
def test_addresses_are_written_as_their_scope_has_it(scope: str, address: int, text: str) -> None:
    assert address_text(scope, address) == text


def test_an_instance_id_that_another_resource_has_is_not_taken(world: World) -> None:
    taken = world.get("/servers/h1").instance_id
    stored = world.do(put_command("/servers/h9", {}, instanceId=taken)).resource
    assert stored.instance_id not in ("", taken)


def test_a_state_is_loaded_as_it_was_in_any_order() -> None:
    """Excluded and leased, in no pool, provider addresses, cooling, twins; and a resource that stands there already."""
    world = Life()
    world.put("/macPools/p2", {"startMacAddress": "0A0000000000", "endMacAddress": "0A00000000FF"})
    world.put("/networkInterfaces/s", static_interface("0A0000000007", None))
    world.put("/networkInterfaces/out", static_interface("0C0000000001", None))
    excluded = [{"first": "0A-00-00-00-00-07", "last": "0A-00-00-00-00-08"}]
    ends = {"startMacAddress": "0A0000000000", "endMacAddress": "0A00000000FF"}
    world.put("/macPools/p2", ends | {"excluded": excluded})
    world.do(Clone("web1", "web2", "keep"))
    for name in ("Big", "small", "gone"):
        world.interface(name)
    world.delete("/networkInterfaces/gone")
    resources = {kind.name: list(world.state.all(kind.name)) for kind in KINDS}
    leases = [lease for scope in world.state.addresses.leases for lease in world.state.leases(scope).values()]
    for turned in (1, -1):
        stored = SimpleNamespace(
            generation="test",
            revision=world.state.revision,
            resources={name: found[::turned] for name, found in resources.items()},
            leases=leases[::turned],
            cursors=world.state.cursors | {"nothing": 0},
        )
        assert State.load(stored) == world.state
