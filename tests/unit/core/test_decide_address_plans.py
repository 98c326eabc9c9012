"""Plans of ranges for hosts: what a plan may be, which range a server gets, what happens when one is full."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface
from weft.core.layout import NOTHING, layout_of
from weft.model.leases import MAC_SCOPE

HV = "/weft/addressPlans/hv"


def planned(cluster: int | None = None, plan: str = HV, **more: Any) -> dict[str, Any]:
    number = {} if cluster is None else {"clusterNumber": cluster}
    return {"addressPlan": {"resourceRef": plan}, **number, **more}


def range_of(world: World, name: str, cluster: int | None = 3, plan: str = HV) -> tuple[str, str]:
    granted = world.put(f"/servers/{name}", planned(cluster, plan)).resource.properties.mac_range
    return granted.first, granted.last


@pytest.fixture
def world() -> World:
    world = World()
    world.put(HV, {})
    return world


def test_the_default_plan_is_that_of_the_field(world: World) -> None:
    stored = world.get(HV).properties
    assert (stored.prefix, stored.cluster_digits, stored.host_digits, stored.interface_digits) == ("00-15-5D", 2, 1, 3)
    assert range_of(world, "h1") == ("00-15-5D-03-00-00", "00-15-5D-03-0F-FF")
    assert range_of(world, "h2") == ("00-15-5D-03-10-00", "00-15-5D-03-1F-FF")
    assert range_of(world, "h3", 0xFF) == ("00-15-5D-FF-00-00", "00-15-5D-FF-0F-FF")
    assert world.counts("/servers/h1/macrange") == {"free": 4096}
    assert world.get("/servers/h1").properties.address_plan.resource_ref == HV
    assert world.put("/servers/h1", planned(3)).outcome == "unchanged"


def test_a_cluster_that_is_not_given_is_the_first(world: World) -> None:
    stored = world.put("/servers/h1", planned()).resource.properties
    assert (stored.cluster_number, stored.mac_range.first) == (0, "00-15-5D-00-00-00")
    assert world.put("/servers/h1", planned()).outcome == "unchanged"


def test_the_seventeenth_host_of_a_cluster_is_refused_and_another_cluster_takes_it(world: World) -> None:
    ranges = {range_of(world, f"h{at}") for at in range(16)}
    assert len(ranges) == 16
    refusal = world.refused("/servers/h16", planned(3))
    assert (refusal.code, refusal.status, refusal.target) == ("AddressPlanIsFull", 409, "clusterNumber")
    assert "All 16 ranges of cluster 3" in refusal.message
    assert range_of(world, "h16", 4)[0] == "00-15-5D-04-00-00"


def test_a_servers_layout_is_its_range_or_nothing(world: World) -> None:
    range_of(world, "h1")
    (spec,) = layout_of("servers", world.get("/servers/h1"))[0]
    held = world.state.space("/servers/h1/macrange")
    assert held is not None and held.spec == spec
    assert layout_of("servers", world.put("/servers/h2", {}).resource) == NOTHING


@pytest.mark.parametrize("cluster", [-1, 256])
def test_a_cluster_beyond_the_digits_is_refused(world: World, cluster: int) -> None:
    refusal = world.refused("/servers/h1", planned(cluster))
    assert (refusal.code, refusal.status, refusal.target) == ("InvalidParameterValue", 400, "clusterNumber")
    assert "0 to 255" in refusal.message


@pytest.mark.parametrize("plan", ["/weft/addressPlans/none", "/macPools/hv"])
def test_a_plan_that_is_not_there_is_refused(world: World, plan: str) -> None:
    assert world.refused("/servers/h1", planned(3, plan)).target == "addressPlan"


def test_a_cluster_without_a_plan_is_refused(world: World) -> None:
    assert world.refused("/servers/h1", {"clusterNumber": 3}).target == "clusterNumber"


def test_a_range_that_goes_back_is_given_again_once_nothing_of_it_is_held(world: World) -> None:
    range_of(world, "h1")
    world.put(
        "/networkInterfaces/n1", dynamic_interface(None, strategy="hostRange", server={"resourceRef": "/servers/h1"})
    )
    cursor = dict(world.state.cursors)
    assert "/servers/h1/macrange" in cursor
    world.delete("/servers/h1")
    assert "/servers/h1/macrange" not in world.state.cursors
    assert world.state.addresses.leased_outside(MAC_SCOPE, 0x00155D030000, 0x00155D030FFF) == [0x00155D030000]
    assert range_of(world, "h2")[0] == "00-15-5D-03-10-00"
    world.delete("/networkInterfaces/n1")
    assert world.mac_lease("00155D030000").state == "cooling"
    assert range_of(world, "h3")[0] == "00-15-5D-03-20-00"
    world.wait(3600)
    assert range_of(world, "h4")[0] == "00-15-5D-03-00-00"


def test_an_address_of_a_plan_that_no_host_has_rests_as_long_as_the_plan_says(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("00-15-5D-03-00-07", None))
    world.put("/networkInterfaces/n2", static_interface("10-10-10-10-11-05", None))
    world.put(HV, {"coolDownSeconds": 7})
    for name in ("n1", "n2"):
        world.delete(f"/networkInterfaces/{name}")
    assert world.mac_lease("00155D030007").until == world.now.ledger + 7
    assert world.mac_lease("101010101105") is None


def test_a_range_in_which_a_machine_brought_its_own_address_is_passed_over(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("00-15-5D-03-00-07", None))
    assert range_of(world, "h1")[0] == "00-15-5D-03-10-00"


def test_a_server_may_change_its_cluster_and_leave_its_plan(world: World) -> None:
    range_of(world, "h1")
    body = dynamic_interface(None, strategy="hostRange", server={"resourceRef": "/servers/h1"})
    world.put("/networkInterfaces/n1", body)
    assert range_of(world, "h1", 5)[0] == "00-15-5D-05-00-00"
    assert "/servers/h1/macrange" not in world.state.cursors
    assert world.counts("/servers/h1/macrange") == {"free": 4096}
    left = world.put("/servers/h1", {"macRange": {"first": "1", "last": "2"}}).resource.properties
    assert (left.address_plan, left.cluster_number, left.mac_range) == (None, None, None)
    assert world.state.space("/servers/h1/macrange") is None
    assert world.state.index.servers.planned == {}


def test_a_plan_in_use_is_fixed_but_for_its_rests_and_warnings(world: World) -> None:
    range_of(world, "h1")
    for change in ({"prefix": "00-15-5E"}, {"prefix": "00-15-5D-0", "clusterDigits": 1}):
        refusal = world.refused(HV, change)
        assert (refusal.code, refusal.target) == ("InUseAddressPlanCannotBeUpdated", "/servers/h1")
    assert world.refused_delete(HV).code == "InUseAddressPlanCannotBeDeleted"
    world.put(HV, {"coolDownSeconds": 7, "warnAtPercent": 50})
    spec = world.state.space("/servers/h1/macrange").spec
    assert (spec.cool_down, spec.warn_at) == (7, 50)
    world.delete("/servers/h1")
    assert world.put(HV, {"prefix": "00:15:5d:0", "clusterDigits": 1}).resource.properties.prefix == "00-15-5D-0"
    assert world.delete(HV).outcome == "deleted"


@pytest.mark.parametrize(
    ("body", "target", "word"),
    [
        ({"prefix": "00-15-5D-00"}, "prefix", "are 14"),
        ({"prefix": "00-15"}, "prefix", "are 10"),
        ({"prefix": "zz-15-5D"}, "prefix", "hexadecimal"),
        ({"prefix": ""}, "prefix", "hexadecimal"),
        ({"prefix": "01-15-5D"}, "prefix", "group"),
        ({"prefix": "0", "interfaceDigits": 8}, "prefix", "hexadecimal"),
        ({"prefix": "00-00-5E"}, "prefix", "IANA"),
        ({"hostDigits": 0, "interfaceDigits": 4}, "hostDigits", "1 to 4"),
        ({"interfaceDigits": 0, "hostDigits": 4}, "interfaceDigits", "1 to 8"),
        ({"clusterDigits": -1, "hostDigits": 4}, "clusterDigits", "0 to 4"),
        ({"coolDownSeconds": -1}, "coolDownSeconds", "between"),
        ({"warnAtPercent": 101}, "warnAtPercent", "between"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(body: dict[str, Any], target: str, word: str) -> None:
    refusal = World().refused(HV, body)
    assert (refusal.status, refusal.target) == (400, target)
    assert word in refusal.message


def test_plans_and_pools_keep_out_of_each_others_way(world: World) -> None:
    other = {"prefix": "00-15-5D-7", "clusterDigits": 1}
    refusal = world.refused("/weft/addressPlans/other", other)
    assert (refusal.code, refusal.target) == ("AddressPlansOverlap", HV)
    pool = {"startMacAddress": "00155CFFFFFF", "endMacAddress": "00155D000000"}
    assert world.refused("/macPools/p", pool).code == "AddressPlansOverlap"
    world.delete(HV)
    world.put("/macPools/p", pool)
    refusal = world.refused(HV, {})
    assert refusal.code == "MacPoolsOverlap"
    assert "/macPools/p" in refusal.message


def test_a_warning_comes_early_for_a_hosts_range_too() -> None:
    world = World()
    world.put(HV, {"prefix": "00-15-5D-00", "interfaceDigits": 1, "warnAtPercent": 50})
    range_of(world, "h1", 0)
    pool = world.state.space("/servers/h1/macrange")
    assert pool is not None
    for at in range(8):
        assert not pool.warns
        body = dynamic_interface(None, strategy="hostRange", server={"resourceRef": "/servers/h1"})
        world.put(f"/networkInterfaces/n{at}", body)
    assert pool.warns


# -- what hypervisors draw from by themselves


def test_a_hypervisors_own_range_is_kept_as_it_is_told() -> None:
    world = World()
    body = {"dynamicMacRange": {"first": "00:15:5d:00:00:00", "last": "00155D0000FF"}}
    stored = world.put("/servers/h1", body).resource.properties.dynamic_mac_range
    assert (stored.first, stored.last) == ("00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    assert world.put("/servers/h1", {"dynamicMacRange": {}}).resource.properties.dynamic_mac_range is None


@pytest.mark.parametrize(
    "sent", [{"first": "00155D000001", "last": "00155D000000"}, {"first": "x", "last": "00155D000000"}]
)
def test_a_range_that_is_none_is_refused(sent: dict[str, str]) -> None:
    refusal = World().refused("/servers/h1", {"dynamicMacRange": sent})
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "dynamicMacRange")
