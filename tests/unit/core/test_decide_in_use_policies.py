"""Policy perHostInUse: what becomes of hosts' addresses as a provider network's policy becomes it, or another."""

from tests.unit.core.test_decide_in_use import NONE, network_of, own, world_in_use
from tests.unit.core.test_decide_provider_addresses import (
    PA1,
    WEB,
    change_of,
    goes_on,
    placed,
    purposes,
    told,
    world_of,
)
from tests.unit.core.world import World


def policy_is(world: World, name: str, count: int = 1) -> None:
    words = {"providerAddressPolicy": name, "providerAddressCount": count}
    world.put("/logicalNetworks/hnvpa", network_of(world) | words)


def test_the_policy_becomes_it_and_another_again_while_machines_run() -> None:
    world = world_of("perHost")
    placed(world, "vm1")
    world.power("vm1", "Running")
    before = told(world)
    policy_is(world, "perHostInUse")
    assert told(world) == before and change_of(world) is None
    assert own(world, "h2") == NONE
    policy_is(world, "perHost")
    assert told(world) == before and change_of(world) is None
    assert len(own(world, "h2")) == 1


def test_from_it_to_several_more_are_used_once_they_are_accepted() -> None:
    world = world_in_use()
    placed(world, "vm1")
    world.power("vm1", "Running")
    (first,) = own(world)
    policy_is(world, "several", 3)
    assert told(world)[0] == first and len(own(world)) == len(own(world, "h2")) == 3
    assert len(change_of(world).coming) == 2 and change_of(world, "h2") is None
    policy_is(world, "perHostInUse")
    world.delete("/weft/virtualMachines/vm1")
    assert own(world) == own(world, "h2") == NONE


def test_from_addresses_of_virtual_subnets_and_back_the_hosts_own_is_there_all_the_while() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.power("vm1", "Running")
    (first,) = own(world)
    policy_is(world, "perHostInUse")
    assert own(world) == (first,) and own(world, "h2") == NONE and len(change_of(world).leaving) == 1
    goes_on(world, "switched", "done")
    assert told(world) == (first, first, [first])
    policy_is(world, "perVirtualSubnet")
    assert purposes(world) == ["", WEB] and purposes(world, "h2") == [""]


def test_a_policy_for_which_not_enough_are_left_is_refused_as_a_whole() -> None:
    world = world_in_use(last=".10")
    placed(world, "vm1")
    refusal = world.refused("/logicalNetworks/hnvpa", network_of(world) | {"providerAddressPolicy": "perHost"})
    assert refusal.code == "PAIpAddressExhausted" and "/servers/h2" in refusal.message


def test_what_the_same_put_takes_from_a_pool_is_granted_to_nobody() -> None:
    world = world_in_use()
    body = network_of(world) | {"providerAddressPolicy": "perHost"}
    (pool,) = body["subnets"][0]["properties"]["ipPools"]
    pool["properties"]["excluded"] = [{"first": "192.168.1.10", "last": "192.168.1.18", "reason": "the router"}]
    world.put("/logicalNetworks/hnvpa", body)
    assert sorted(own(world) + own(world, "h2")) == ["192.168.1.19", "192.168.1.20"]
    world = world_in_use()
    body["subnets"][0]["properties"]["ipPools"] = [pool | {"resourceId": "other"}]
    refusal = world.refused("/logicalNetworks/hnvpa", body)
    assert refusal.code == "PAIpAddressExhausted" and "put them first" in refusal.message
    world.put("/logicalNetworks/hnvpa", body | {"providerAddressPolicy": "perHostInUse"})
    world.put("/logicalNetworks/hnvpa", body)
    assert sorted(own(world) + own(world, "h2")) == ["192.168.1.19", "192.168.1.20"]


def test_one_host_may_say_it_for_itself() -> None:
    world = world_of("perHost")
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]}
    world.put("/servers/h1", body | {"providerAddressPolicy": "PERHOSTINUSE"})
    assert (own(world), len(own(world, "h2"))) == (NONE, 1)
    assert world.get("/servers/h1").properties.provider_address_policy == "perHostInUse"
    world.put("/servers/h1", body)
    assert len(own(world)) == 1
