"""Which of a host's provider addresses being another machine's keeps a machine from reaching others from there."""

import pytest

from tests.unit.core.test_decide_on_hosts import rewriting_world
from tests.unit.core.test_decide_provider_addresses import SCOPE, WEB, placed, world_of
from tests.unit.core.world import World
from weft.core.taken_addresses import check_reaches, taken_for
from weft.model.errors import NotReady
from weft.model.resources import Ref
from weft.model.values import PackedIp, ip_text

SUBNETS = {name: [Ref(resource_ref=f"/virtualNetworks/blue/subnets/{name}")] for name in ("web", "db")}


def address(world: World, purpose: str = "") -> PackedIp:
    held = world.state.addresses.providers["/servers/h1"][SCOPE]
    return PackedIp(next(one for one, why in held.items() if why == purpose).to_bytes(4))


def found(world: World, name: str, *others: PackedIp) -> PackedIp | None:
    return taken_for(world.state, "H1", SUBNETS[name], dict.fromkeys(others, "02-AA-00-00-00-07"))


def test_the_hosts_own_stands_for_all_that_is_there() -> None:
    world = world_of("perHost")
    own = address(world)
    assert found(world, "web", own) == own
    assert found(world, "web") is None
    assert (
        taken_for(world.state, "h1", [None, Ref(resource_ref="/logicalNetworks/hnvpa/subnets/pa1")], {own: ""}) is None
    )
    with pytest.raises(NotReady, match=f"its provider address {ip_text(own)} is 02-AA-00-00-00-07's already"):
        check_reaches(world.state, "h1", SUBNETS["web"], {own: "02-AA-00-00-00-07"})


def test_a_virtual_subnets_stands_for_that_alone_and_one_that_is_to_come_is_nobodys_yet() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    own, web = address(world), address(world, WEB)
    assert (found(world, "web", web), found(world, "web", own)) == (web, None)
    assert (found(world, "db", web), found(world, "db", own)) == (None, None)


def test_what_is_rewritten_travels_by_no_tunnel() -> None:
    world = rewriting_world()
    placed(world, "vm1")
    assert found(world, "web", address(world)) is None
