"""Another policy while another machine has one of a host's provider addresses: what the host goes on with."""

import pytest

from tests.unit.core.test_decide_provider_addresses import PA1, change_of, goes_on, placed, told, world_of
from tests.unit.core.world import World, provider_network
from weft.core import policy
from weft.core.provider_places import provider_address
from weft.core.taken_addresses import taken_for
from weft.model.errors import NotReady
from weft.model.records import ProviderAddress
from weft.model.values import ip_text, pack_ip

OTHER = "02-AA-00-00-00-07"
ADAPTERS = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]}


def running(policy: str, count: int = 1) -> World:
    world = world_of(policy, count)
    placed(world, "vm1")
    world.power("vm1", "Running")
    return world


def own(world: World) -> list[str]:
    """Of h1, in order."""
    return sorted(world.get("/servers/h1").properties.provider_addresses, key=pack_ip)


def primary(world: World) -> tuple[str, ...]:
    found: tuple[str, ...] = world.get("/servers/h1").properties.primary_provider_addresses
    return found


def take(world: World, *addresses: str) -> None:
    world.others_have["h1"] = {pack_ip(one): OTHER for one in addresses}


def network_says(world: World, policy: str, count: int = 1) -> None:
    words = {"providerAddressPolicy": policy, "providerAddressCount": count}
    world.put("/logicalNetworks/hnvpa", provider_network() | words)


def server_says(world: World, policy: str, **more: object) -> None:
    world.put("/servers/h1", ADAPTERS | {"providerAddressPolicy": policy} | more)


@pytest.mark.parametrize("says", [network_says, server_says])
@pytest.mark.parametrize("policy", ["perHost", "perHostInUse"])
def test_it_goes_on_with_the_lowest_that_nobody_else_has(says: object, policy: str) -> None:
    world = running("several", 3)
    first, second, third = own(world)
    take(world, first)
    assert callable(says)
    says(world, policy)
    assert told(world) == (second, second, [first, second, third])
    assert (primary(world), change_of(world)) == ((second,), None)
    web = world.get("/networkInterfaces/vm1-nic").properties.ip_configurations[0].properties.subnet
    assert taken_for(world.state, "h1", [web], world.others_have["h1"]) is None, "a machine may be placed there"
    # nobody has it any more: what is in use stays in use, whatever else is said of the host
    take(world)
    server_says(world, policy, rackSlot="7")
    assert told(world)[0] == second
    # told the policy again, it is chosen again
    server_says(world, "several", providerAddressCount=3)
    assert primary(world) == ()
    server_says(world, policy)
    assert (told(world)[0], primary(world)) == (first, ())


def test_without_word_of_another_machine_it_is_the_lowest() -> None:
    world = running("several", 3)
    first, _, third = own(world)
    take(world, third)
    network_says(world, "perHost")
    assert (told(world)[0], primary(world)) == (first, ())


def test_where_all_are_taken_nothing_gets_worse_and_the_policy_changes() -> None:
    world = running("several", 2)
    first, second = own(world)
    take(world, first, second)
    network_says(world, "perHost")
    assert (told(world)[0], primary(world)) == (first, ())


def test_fewer_are_kept_and_none_that_leaves_is_gone_back_to() -> None:
    """The ones that stay are asked for together with the policy: until they alone are used, what is used is untaken."""
    world = running("several", 3)
    first, second, third = own(world)
    take(world, first, second)
    server_says(world, "perHost", providerAddresses=[third])
    assert told(world)[0] == third and change_of(world).leaving == (first, second)
    goes_on(world, "switched", "done")
    assert told(world) == (third, third, [third])
    take(world, third)
    server_says(world, "perHost", providerAddresses=["192.168.1.18"])
    assert told(world)[0] == third
    goes_on(world, "switched", "done")
    assert (told(world)[0], primary(world)) == ("192.168.1.18", ())


def test_what_comes_is_waited_for_with_one_that_nobody_else_has() -> None:
    world = running("several", 2)
    first, second = own(world)
    take(world, first)
    server_says(world, "perHost", providerAddresses=["192.168.1.18"])
    assert told(world)[0] == second
    assert told_primary(world) == [second]
    goes_on(world, "switched")
    assert (told(world)[0], told_primary(world)) == ("192.168.1.18", [])
    goes_on(world, "done")
    assert primary(world) == ()


def test_to_keep_only_what_is_anothers_is_refused_with_whose_it_is() -> None:
    world = running("several", 3)
    first, second, _ = own(world)
    take(world, first)
    refusal = world.refused(
        "/servers/h1", ADAPTERS | {"providerAddressPolicy": "perHost", "providerAddresses": [first]}
    )
    assert (refusal.code, refusal.target) == ("ServerNotReady", "/servers/h1")
    assert f"provider address {first}, which is {OTHER}'s already, in place of" in refusal.message
    assert change_of(world) is None
    # as is what is asked for alone: one that is there already is not looked for again
    server_says(world, "perHost")
    refusal = world.refused(
        "/servers/h1", ADAPTERS | {"providerAddressPolicy": "perHost", "providerAddresses": [first]}
    )
    assert f"in place of {second}" in refusal.message


def test_virtual_subnets_come_to_what_nobody_else_has() -> None:
    """Of their own before, beside two of the host's: with the lowest taken they have no tunnels there, and get them."""
    world = running("perVirtualSubnet")
    (host,) = own(world)
    server_says(world, "perVirtualSubnet", providerAddresses=[host, "192.168.1.18"])
    goes_on(world, "switched", "done")
    subnet = told(world)[0]
    take(world, host)
    network_says(world, "perHost")
    server_says(world, "")
    assert told(world)[0] == subnet and primary(world) == ("192.168.1.18",)
    goes_on(world, "switched", "done")
    assert told(world)[0] == "192.168.1.18"


def test_virtual_subnets_get_their_own_beside_what_nobody_else_has() -> None:
    world = running("several", 2)
    first, second = own(world)
    take(world, first)
    server_says(world, "perVirtualSubnet")
    assert (told(world)[0], primary(world), told_primary(world)) == (second, (second,), [second])
    goes_on(world, "switched", "done")
    assert told(world)[0] not in (first, second) and told_primary(world) == [second]
    words = ADAPTERS | {"providerAddressPolicy": "perVirtualSubnet", "providerAddresses": [first]}
    assert f"provider address {first}" in world.refused("/servers/h1", words).message
    take(world)
    server_says(world, "several")
    assert told_primary(world) == []


def told_primary(world: World) -> list[str]:
    """By what h1 is told to go in place of the lowest of its own."""
    records = policy.host_stream(world.state, "h1").values()
    return [ip_text(one.address) for one in records if isinstance(one, ProviderAddress) and one.primary]


def test_where_the_hosts_only_one_is_anothers_its_policy_changes_as_before() -> None:
    """It has no tunnels there before, and says why, nor after."""
    world = running("perVirtualSubnet")
    (host,) = own(world)
    take(world, host)
    network_says(world, "perHost")
    goes_on(world, "switched", "done")
    assert told(world) == (host, host, [host])


def test_a_virtual_subnet_is_not_brought_from_its_own_to_one_that_is_anothers() -> None:
    world = running("perVirtualSubnet")
    (host,) = own(world)
    server_says(world, "perVirtualSubnet", providerAddresses=[host, "192.168.1.18"])
    goes_on(world, "switched", "done")
    before = told(world)
    take(world, "192.168.1.18")
    words = ADAPTERS | {"providerAddressPolicy": "perHost", "providerAddresses": ["192.168.1.18"]}
    refusal = world.refused("/servers/h1", words)
    assert "'h1' would reach no other host: they would go on with its provider address 192.168.1.18" in refusal.message
    assert "/virtualNetworks/blue/subnets/web on 'h1'" in refusal.message and before[0] in refusal.message
    assert told(world) == before
    # what is to come is waited for instead
    words = {"providerAddresses": ["192.168.1.17"]}
    server_says(world, "perHost", **words)
    take(world, "192.168.1.17", "192.168.1.18")
    server_says(world, "perHost", rackSlot="7")
    assert told(world)[0] == before[0] and change_of(world).phase == "preparing"


def test_it_is_not_switched_to_what_became_anothers_meanwhile() -> None:
    world = running("several", 3)
    falls = told(world)[0]
    others = [one for one in own(world) if one != falls]
    server_says(world, "several", providerAddressCount=2, providerAddresses=others)
    take(world, *others)
    assert (told(world)[0], change_of(world).leaving) == (falls, (falls,))
    with pytest.raises(NotReady, match=f"which is {OTHER}'s already, in place of {falls}"):
        goes_on(world, "switched")
    server_says(world, "several", providerAddressCount=2, rackSlot="7")
    take(world)
    goes_on(world, "switched")
    take(world, *others)
    goes_on(world, "done")
    assert told(world)[0] in others


def test_with_several_no_virtual_subnet_falls_to_one_that_is_anothers() -> None:
    world = running("several", 3)
    falls = told(world)[0]
    others = [one for one in own(world) if one != falls]
    take(world, falls)
    network_says(world, "perHost")
    used = told(world)[0]
    assert used in others
    refusal = world.refused("/logicalNetworks/hnvpa", provider_network() | {"providerAddressPolicy": "several"})
    assert f"provider address {falls}" in refusal.message and f"in place of {used}" in refusal.message


def test_a_gateway_and_what_it_tells_go_by_the_same_one() -> None:
    world = running("several", 2)
    first, second = own(world)
    take(world, first)
    network_says(world, "perHost")
    blue = world.get("/virtualNetworks/blue")
    assert ip_text(provider_address(world.state, "h1", blue) or pack_ip(first)) == second
