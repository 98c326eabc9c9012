"""What a hypervisor shall draw from: whose a range may not be, and what is proposed for a host."""

from typing import Any

import pytest

from tests.unit.core.world import World
from weft.core.host_ranges import proposal
from weft.model.fabric import MacRange


@pytest.fixture
def world() -> World:
    return World()


def wanting(world: World, name: str, first: str, last: str, **more: Any) -> Any:
    return world.put(f"/servers/{name}", {"wantedDynamicMacRange": {"first": first, "last": last}, **more})


def test_a_range_that_a_hypervisor_shall_draw_from_is_stored_as_one(world: World) -> None:
    stored = wanting(world, "h1", "00:15:5d:00:01:00", "00155D0001FF").resource.properties
    assert stored.wanted_dynamic_mac_range == MacRange(first="00-15-5D-00-01-00", last="00-15-5D-00-01-FF")
    assert list(world.state.index.servers.wishing) == ["h1"]
    assert world.put("/servers/h1", {}).resource.properties.wanted_dynamic_mac_range is None
    assert list(world.state.index.servers.wishing) == []


def test_it_is_nobody_elses(world: World) -> None:
    world.put("/macPools/p", {"startMacAddress": "00-15-5D-50-00-00", "endMacAddress": "00-15-5D-50-0F-FF"})
    world.put("/servers/h2", {"dynamicMacRange": {"first": "00-15-5D-00-02-00", "last": "00-15-5D-00-02-FF"}})
    wanting(world, "h3", "00-15-5D-00-03-00", "00-15-5D-00-03-FF")
    for first, last, whose in (
        ("00-15-5D-50-0F-FF", "00-15-5D-50-10-FF", "/macPools/p"),
        ("00-15-5D-00-02-80", "00-15-5D-00-02-81", "/servers/h2"),
        ("00-15-5D-00-03-FF", "00-15-5D-00-04-FF", "/servers/h3"),
    ):
        refusal = world.refused("/servers/h1", {"wantedDynamicMacRange": {"first": first, "last": last}})
        assert (refusal.code, refusal.target) == ("RangesOverlap", "wantedDynamicMacRange")
        assert whose in refusal.message
    # what it wants already, and what it draws from itself, is no clash
    wanting(world, "h3", "00-15-5D-00-03-00", "00-15-5D-00-03-FF", hostGroup="rack")
    wanting(world, "h2", "00-15-5D-00-02-00", "00-15-5D-00-02-7F")


def test_its_plans_range_is_its_own(world: World) -> None:
    world.put("/weft/addressPlans/plan", {})
    plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/plan"}}
    own = world.put("/servers/h1", plan).resource.properties.mac_range
    assert wanting(world, "h1", own.first, own.last, **plan).resource.properties.wanted_dynamic_mac_range == own
    refusal = world.refused("/servers/h2", {"wantedDynamicMacRange": {"first": own.first, "last": own.last}})
    assert refusal.code == "RangesOverlap"


@pytest.mark.parametrize(
    ("first", "last"), [("01-00-00-00-00-00", "01-00-00-00-00-FF"), ("00-00-5E-00-00-00", "00-00-5E-00-00-FF")]
)
def test_reserved_addresses_are_not_drawn(world: World, first: str, last: str) -> None:
    refusal = world.refused("/servers/h1", {"wantedDynamicMacRange": {"first": first, "last": last}})
    assert refusal.target == "wantedDynamicMacRange"
    assert "may not be an interface's" in refusal.message


def test_a_proposal_is_the_plans_range_or_the_present_one_or_the_next_that_is_nobodys(world: World) -> None:
    world.put("/servers/h1", {})
    assert proposal(world.state, "/servers/h1") == (0x00155D000000, 0x00155D0000FF)
    own = {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-00-FF"}
    world.put("/servers/h1", {"dynamicMacRange": own})
    assert proposal(world.state, "/servers/h1") == (0x00155D000000, 0x00155D0000FF)
    world.put("/servers/h2", {"dynamicMacRange": own})
    wanting(world, "h3", "00-15-5D-00-01-00", "00-15-5D-00-01-FF")
    assert proposal(world.state, "/servers/h2") == (0x00155D000200, 0x00155D0002FF)
    world.put("/weft/addressPlans/plan", {"prefix": "00-15-5D-7", "clusterDigits": 1})
    world.put("/servers/h2", {"addressPlan": {"resourceRef": "/weft/addressPlans/plan"}})
    assert proposal(world.state, "/servers/h2") == (0x00155D700000, 0x00155D700FFF)
