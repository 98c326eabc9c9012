"""Addresses held for a purpose: taken once, given to whom they are for, given back."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, put_command, static_interface, virtual_network
from weft.core.commands import Batch, EndReservations, Reserve
from weft.model.leases import MAC_SCOPE
from weft.model.values import Now, mac_dashes

POOL = "/macPools/p1"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    world.network("blue", "10.1.1.0/29")
    return world


def reserve(world: World, count: int = 2, **more: Any) -> Any:
    return world.do(Reserve(**{"pool": POOL, "count": count, **more})).resource


def naming(reservation: Any, subnet: str | None = None) -> dict[str, Any]:
    return dynamic_interface(subnet, reservation={"resourceRef": f"/weft/reservations/{reservation.resource_id}"})


def pass_time(world: World, seconds: float, wall: float | None = None) -> None:
    world.now = Now(world.now.ledger + seconds, world.now.wall + (seconds if wall is None else wall))


def test_a_reservation_holds_what_nobody_else_is_granted(world: World) -> None:
    kept = reserve(world, purpose="web farm", request_id="farm-1")
    assert kept.resource_id == "farm-1"
    assert kept.properties.addresses == ("02-00-00-00-00-00", "02-00-00-00-00-01")
    assert kept.properties.pool.resource_ref == POOL
    assert world.counts("/macpools/p1") == {"reserved": 2, "free": 14}
    assert world.interface("n1", None).properties.private_mac_address == "020000000002"
    refusal = world.refused("/networkInterfaces/n2", static_interface("020000000001", None))
    assert "/weft/reservations/farm-1 has it (web farm)" in refusal.message


def test_the_same_request_finds_the_same_reservation(world: World) -> None:
    command = Reserve(POOL, 2, request_id="farm-1")
    first = world.do(command)
    again = world.do(command)
    assert (first.outcome, again.outcome, again.changes) == ("created", "unchanged", ())
    assert again.resource == first.resource
    world.delete("/weft/reservations/farm-1")
    assert world.do(command).outcome == "created"


def test_a_request_id_that_is_no_name_or_taken_gets_a_fresh_one(world: World) -> None:
    first = reserve(world, request_id="say: four of them")
    assert len(first.resource_id) == 36
    assert world.do(Reserve(POOL, 2, request_id="say: four of them")).resource == first
    other = reserve(world)
    assert reserve(world, request_id=other.resource_id).resource_id not in (other.resource_id, "")
    assert world.refuses(put_command(f"/weft/reservations/{other.resource_id}", {})).code == "OperationNotSupported"


@pytest.mark.parametrize(
    ("more", "code", "target"),
    [
        ({"count": 0}, "InvalidParameterValue", "count"),
        ({"count": 4097}, "InvalidParameterValue", "count"),
        ({"purpose": "x" * 257}, "InvalidParameterValue", "purpose"),
        ({"until": 1.0}, "InvalidParameterValue", "until"),
        ({"pool": "/macPools/none"}, "NotFound", "pool"),
        ({"pool": "/networkInterfaces/n1"}, "NotFound", "pool"),
        ({"count": 17}, "MacPoolIsFull", "count"),
    ],
)
def test_what_cannot_be_reserved(world: World, more: dict[str, Any], code: str, target: str) -> None:
    refusal = world.refuses(Reserve(**{"pool": POOL, "count": 1, **more}))
    assert (refusal.code, refusal.target) == (code, target)


def test_a_drained_pool_gives_nothing_away(world: World) -> None:
    world.put(POOL, {"startMacAddress": "020000000000", "endMacAddress": "02000000000F", "drain": True})
    assert world.refuses(Reserve(POOL, 1)).code == "PoolIsDrained"


def test_all_of_a_pool_can_be_reserved_and_no_more(world: World) -> None:
    world.interface("n1", None)
    assert len(set(reserve(world, 15).properties.addresses)) == 15
    assert world.refuses(Reserve(POOL, 1)).message.startswith("1 address is asked for. No address is free in /macPools")


def test_a_contiguous_block_is_the_first_gap_and_a_missing_one_names_the_largest(world: World) -> None:
    world.put("/networkInterfaces/s1", static_interface("020000000004", None))
    world.put("/networkInterfaces/s2", static_interface("02000000000C", None))
    assert reserve(world, 5, contiguous=True).properties.addresses[0] == "02-00-00-00-00-05"
    assert reserve(world, 4, contiguous=True).properties.addresses[0] == "02-00-00-00-00-00"
    refusal = world.refuses(Reserve(POOL, 4, contiguous=True))
    assert refusal.code == "NoContiguousBlock"
    assert "longest run has 3, in /macPools/p1" in refusal.message
    assert reserve(world, 3, contiguous=True).properties.addresses[-1] == "02-00-00-00-00-0F"


def test_a_subnet_lends_addresses_of_all_its_pools(world: World) -> None:
    pools = [
        {"resourceId": name, "properties": {"startIpAddress": first, "endIpAddress": last}}
        for name, first, last in (("a", "172.16.0.10", "172.16.0.11"), ("b", "172.16.0.20", "172.16.0.29"))
    ]
    lan = {"resourceId": "lan", "properties": {"addressPrefix": "172.16.0.0/24", "ipPools": pools}}
    bare = {"resourceId": "bare", "properties": {"addressPrefix": "172.16.1.0/24"}}
    world.put("/logicalNetworks/office", {"subnets": [lan, bare]})
    ref = "/logicalNetworks/office/subnets/lan"
    assert reserve(world, 3, pool=ref).properties.addresses == ("172.16.0.10", "172.16.0.11", "172.16.0.20")
    assert reserve(world, 5, pool=ref, contiguous=True).properties.addresses[0] == "172.16.0.21"
    assert "longest run has 4, in" in world.refuses(Reserve(ref, 5, contiguous=True)).message
    assert reserve(world, 1, pool=f"{ref}/ipPools/b").properties.addresses == ("172.16.0.26",)
    wide = {"resourceId": "c", "properties": {"startIpAddress": "172.16.0.40", "endIpAddress": "172.16.0.40"}}
    world.put("/logicalNetworks/office/subnets/lan", {"addressPrefix": "172.16.0.0/24", "ipPools": [*pools, wide]})
    assert "longest run has 3, in" in world.refuses(Reserve(ref, 5, contiguous=True)).message
    assert reserve(world, 2, pool=f"{ref}/ipPools/B").properties.pool.resource_ref == f"{ref}/ipPools/b"
    assert "There is no pool" in world.refuses(Reserve("/logicalNetworks/office/subnets/bare", 1)).message
    assert "no pool at all" in world.refuses(Reserve("/logicalNetworks/office/subnets/bare", 1, True)).message


def test_an_interface_takes_its_addresses_from_the_reservation_that_it_names(world: World) -> None:
    macs, ips = reserve(world), reserve(world, pool="/virtualNetworks/blue/subnets/web")
    assert ips.properties.addresses == ("10.1.1.2", "10.1.1.3")
    other = world.interface("n0").properties
    assert other.private_mac_address == "020000000002"
    assert other.ip_configurations[0].properties.private_ip_address == "10.1.1.4"
    got = [world.put(f"/networkInterfaces/m{at}", naming(macs)).resource.properties for at in range(2)]
    assert [one.private_mac_address for one in got] == ["020000000000", "020000000001"]
    assert got[0].reservation.resource_ref == f"/weft/reservations/{macs.resource_id}"
    refusal = world.refused("/networkInterfaces/m2", naming(macs))
    assert (refusal.code, refusal.target) == ("ReservationIsEmpty", "privateMacAddress")
    taken = world.put("/networkInterfaces/i1", naming(ips, "/virtualNetworks/blue/subnets/web")).resource.properties
    assert taken.ip_configurations[0].properties.private_ip_address == "10.1.1.2"
    assert taken.private_mac_address == "020000000003"
    assert world.counts("/macpools/p1") == {"assigned": 4, "free": 12}


def test_a_reservation_of_another_subnet_leaves_the_grant_where_it_was(world: World) -> None:
    world.put("/virtualNetworks/red", virtual_network({"web": "10.1.1.0/29"}))
    ips = reserve(world, pool="/virtualNetworks/blue/subnets/web")
    red = world.put("/networkInterfaces/r1", naming(ips, "/virtualNetworks/red/subnets/web")).resource.properties
    assert red.ip_configurations[0].properties.private_ip_address == "10.1.1.2"


def test_a_static_address_of_a_reservation_is_for_who_names_it(world: World) -> None:
    kept = reserve(world)
    body = static_interface("020000000001", None) | {"reservation": naming(kept)["reservation"]}
    assert world.put("/networkInterfaces/n1", body).resource.properties.private_mac_address == "020000000001"
    assert world.counts("/macpools/p1") == {"assigned": 1, "reserved": 1, "free": 14}


def test_an_address_goes_back_to_its_reservation_and_cools_after_it(world: World) -> None:
    kept = reserve(world)
    world.put("/networkInterfaces/n1", naming(kept))
    world.delete("/networkInterfaces/n1")
    assert world.counts("/macpools/p1") == {"reserved": 2, "free": 14}
    assert world.put("/networkInterfaces/n2", naming(kept)).resource.properties.private_mac_address == "020000000000"
    world.delete("/networkInterfaces/n2")
    ref = f"/weft/reservations/{kept.resource_id}"
    world.delete(ref)
    assert world.counts("/macpools/p1") == {"cooling": 1, "free": 15}
    lease = world.mac_lease("020000000000")
    assert lease is not None and lease.until == world.now.ledger + 3600
    assert world.state.find_ref(ref) is None


def test_what_interfaces_have_of_a_reservation_stays_theirs(world: World) -> None:
    kept = reserve(world)
    world.put("/networkInterfaces/n1", naming(kept))
    world.delete(f"/weft/reservations/{kept.resource_id}")
    assert world.counts("/macpools/p1") == {"assigned": 1, "free": 15}
    assert world.put("/networkInterfaces/n1", naming(kept)).outcome == "unchanged"
    refusal = world.refused("/networkInterfaces/n2", naming(kept))
    assert (refusal.code, refusal.target) == ("InvalidResourceReference", "reservation")
    assert world.refused("/networkInterfaces/n2", dynamic_interface(None, reservation={"resourceRef": "/x"})).code == (
        "InvalidResourceReference"
    )


def test_a_reservation_expires_by_the_ledgers_time_alone(world: World) -> None:
    kept = reserve(world, until=world.now.wall + 600)
    later = reserve(world, until=world.now.wall + 900)
    forever = reserve(world)
    assert kept.properties.until == "2023-11-14T22:23:20Z"
    assert kept.properties.expires == 1600.0
    assert forever.properties.expires == 0
    assert world.state.reservations_end() == 1600.0
    pass_time(world, 500, wall=1_000_000)
    assert world.do(EndReservations()).outcome == "unchanged"
    pass_time(world, 100, wall=-1_000_000)
    decision = world.do(EndReservations())
    assert {one.event for one in decision.changes if hasattr(one, "event")} == {"expired"}
    assert world.state.get("reservations", kept.resource_id) is None
    assert world.state.reservations_end() == 1900.0
    assert world.counts("/macpools/p1") == {"reserved": 4, "free": 12}
    pass_time(world, 10_000)
    world.do(EndReservations(1))
    assert world.state.get("reservations", later.resource_id) is None
    assert world.state.reservations_end() is None


def test_a_pool_without_cool_down_takes_used_addresses_back_at_once(world: World) -> None:
    body = {"startMacAddress": "020000000000", "endMacAddress": "02000000000F", "coolDownSeconds": 0}
    world.put(POOL, body)
    kept = reserve(world)
    world.put("/networkInterfaces/n1", naming(kept))
    world.delete("/networkInterfaces/n1")
    world.delete(f"/weft/reservations/{kept.resource_id}")
    assert world.counts("/macpools/p1") == {"free": 16}


def test_reserved_addresses_keep_their_pool_and_their_subnet(world: World) -> None:
    kept = reserve(world)
    ips = reserve(world, 2, pool="/virtualNetworks/blue/subnets/web")
    refusal = world.refused_delete(POOL)
    assert refusal.code == "InUseMacPoolCannotBeDeleted"
    assert f"/weft/reservations/{kept.resource_id}" in refusal.message
    refusal = world.refused_delete("/virtualNetworks/blue/subnets/web")
    assert refusal.code == "InUseSubnetCannotBeDeleted"
    assert f"/weft/reservations/{ips.resource_id}" in refusal.message
    body = virtual_network({"web": "10.1.2.0/29"})
    assert world.refused("/virtualNetworks/blue", body).code == "InUseSubnetCannotBeUpdated"
    assert world.refused_delete("/virtualNetworks/blue").code == "ResourceInUse"
    world.delete(f"/weft/reservations/{ips.resource_id}")
    world.delete("/virtualNetworks/blue")


def test_a_full_pool_says_that_reservations_hold_some(world: World) -> None:
    reserve(world, 16)
    assert "delete reservations" in world.refused("/networkInterfaces/n1", dynamic_interface(None)).message


def test_a_host_range_can_be_reserved_of_too(world: World) -> None:
    world.put("/weft/addressPlans/hv", {})
    world.put("/servers/h9", {"addressPlan": {"resourceRef": "/weft/addressPlans/hv"}})
    kept = reserve(world, 3, pool="/servers/h9/macRange", contiguous=True)
    assert kept.properties.addresses == tuple(mac_dashes(0x00155D000000 + at) for at in range(3))
    world.delete(f"/weft/reservations/{kept.resource_id}")
    assert world.state.leases(MAC_SCOPE) == {}


def test_two_interfaces_of_one_batch_take_different_addresses_of_a_reservation(world: World) -> None:
    kept = reserve(world)
    world.do(Batch(tuple(put_command(f"/networkInterfaces/n{at}", naming(kept)) for at in range(2))))
    assert world.counts("/macpools/p1") == {"assigned": 2, "free": 14}


def test_two_ip_configurations_of_one_interface_take_different_addresses(world: World) -> None:
    kept = reserve(world, pool="/virtualNetworks/blue/subnets/web")
    body = naming(kept, "/virtualNetworks/blue/subnets/web")
    first = body["ipConfigurations"][0]
    body["ipConfigurations"] = [first, {**first, "resourceId": "ip2"}]
    got = world.put("/networkInterfaces/n1", body).resource.properties.ip_configurations
    assert [one.properties.private_ip_address for one in got] == ["10.1.1.2", "10.1.1.3"]
