"""Provider addresses by policy: what a host has for itself, and what comes and goes with its virtual subnets."""

from typing import Any

import pytest

from tests.unit.core.world import World, provider_network, virtual_network
from weft.model.leases import ip_scope

SCOPE = ip_scope("/logicalNetworks/hnvpa", 4)
WEB, DB = "/virtualnetworks/blue/subnets/web", "/virtualnetworks/blue/subnets/db"


def world_of(policy: str, count: int = 1, last: str = "") -> World:
    """Hosts h1 and h2 in a provider network with a policy, and the network blue with the subnets web and db."""
    world = World()
    body = provider_network()
    if last:
        for subnet in body["subnets"]:
            pool = subnet["properties"]["ipPools"][0]["properties"]
            pool["endIpAddress"] = pool["startIpAddress"].rpartition(".")[0] + last
    world.put("/macPools/p1", {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-FF-FF"})
    world.put("/logicalNetworks/hnvpa", body | {"providerAddressPolicy": policy, "providerAddressCount": count})
    for server in ("h1", "h2"):
        adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}
        world.put(f"/servers/{server}", {"networkInterfaces": [{"resourceId": "a", "properties": adapter}]})
    world.put("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}))
    return world


def placed(world: World, name: str, subnet: str = "web", server: str = "h1") -> None:
    world.interface(f"{name}-nic", f"/virtualNetworks/blue/subnets/{subnet}")
    world.machine(name, server, "Off", f"{name}-nic")


def purposes(world: World, server: str = "h1") -> list[str]:
    """What the provider addresses of a host are for; empty for its own. Both ways in which they are kept agree."""
    addresses = world.state.addresses
    held = addresses.providers.get(f"/servers/{server}", {}).get(SCOPE, {})
    found = {address: why for (_, _, why), every in _providing(world, server) for address in every}
    assert found == held
    return sorted(held.values())


def _providing(world: World, server: str) -> list[tuple[tuple[str, str, str], set[int]]]:
    found = world.state.addresses.providing.items()
    assert all(every for _, every in found)
    return [one for one in found if one[0][:2] == (f"/servers/{server}", SCOPE)]


def test_a_host_has_one_by_default() -> None:
    world = world_of("perHost")
    placed(world, "vm1")
    assert purposes(world) == [""]


def test_several_are_granted_with_the_host() -> None:
    world = world_of("several", 3)
    assert len(world.get("/servers/h1").properties.provider_addresses) == 3
    world.put("/servers/h3", {"providerAddressPolicy": "PERHOST"})
    stored = world.get("/servers/h3").properties
    assert (stored.provider_address_policy, purposes(world, "h3")) == ("perHost", [])


@pytest.mark.parametrize(
    "body",
    [
        {"providerAddressPolicy": "perMachine"},
        {"providerAddressPolicy": "several", "providerAddressCount": 65},
        {"providerAddressPolicy": "several", "providerAddressCount": -1},
    ],
)
def test_what_is_no_policy_is_refused(body: dict[str, Any]) -> None:
    world = World()
    assert world.refused("/logicalNetworks/hnvpa", provider_network() | body).code == "InvalidParameterValue"
    assert world.refused("/servers/h1", body).code == "InvalidParameterValue"


def test_a_virtual_subnet_has_one_from_its_first_interface_to_its_last() -> None:
    world = world_of("perVirtualSubnet")
    assert purposes(world) == [""]
    placed(world, "vm1")
    placed(world, "vm2")
    placed(world, "vm3", "db")
    assert purposes(world) == ["", DB, WEB]
    assert world.get("/servers/h1").properties.provider_addresses == (
        world.state.provider_address_of("h1", "/logicalNetworks/hnvpa"),
    )
    world.delete("/weft/virtualMachines/vm1")
    assert purposes(world) == ["", DB, WEB]
    world.delete("/weft/virtualMachines/vm2")
    assert purposes(world) == ["", DB]
    assert [lease.state for lease in world.state.leases(SCOPE).values()].count("cooling") == 1


def test_a_move_has_both_ends_until_it_is_over() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.power("vm1", "Running")
    world.move("vm1", "h2")
    assert (purposes(world, "h1"), purposes(world, "h2")) == (["", WEB], ["", WEB])
    for phase in ("switching", "switched", "done"):
        world.advance("vm1", phase)
    assert (purposes(world, "h1"), purposes(world, "h2")) == ([""], ["", WEB])


def test_an_interface_that_goes_to_another_subnet_takes_its_need_along() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/db")
    assert purposes(world) == ["", DB]


def test_a_policy_that_changes_changes_what_is_held() -> None:
    world = world_of("perHost")
    placed(world, "vm1")
    world.put("/logicalNetworks/hnvpa", provider_network() | {"providerAddressPolicy": "perVirtualSubnet"})
    assert purposes(world) == ["", WEB]
    server = {"networkInterfaces": [{"resourceId": "a", "properties": {}}], "providerAddressPolicy": "perHost"}
    server["networkInterfaces"][0]["properties"] = {  # type: ignore[index]
        "logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]
    }
    world.put("/servers/h1", server)
    assert purposes(world) == [""]


def test_a_host_that_is_deleted_gives_all_back() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.delete("/weft/virtualMachines/vm1")
    world.delete("/servers/h1")
    assert purposes(world) == []


def test_a_machine_is_not_placed_where_no_address_is_left_and_the_refusal_names_pool_and_holder() -> None:
    world = world_of("perVirtualSubnet")
    pool = world.state.space("/logicalnetworks/hnvpa/subnets/pa1/ippools/pool")
    assert pool is not None
    while pool.capacity - pool.taken.used:
        world.put(
            f"/servers/x{pool.taken.used}",
            {
                "networkInterfaces": [
                    {
                        "resourceId": "a",
                        "properties": {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]},
                    }
                ]
            },
        )
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/web")
    refusal = world.refused(
        "/weft/virtualMachines/vm1",
        {
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/vm1-nic"}],
            "server": {"resourceRef": "/servers/h1"},
        },
    )
    assert refusal.code == "PAIpAddressExhausted"
    assert "/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool" in refusal.message
    assert "is held by /servers/" in refusal.message
    assert purposes(world) == [""]


def test_a_subnets_address_is_not_asked_for_as_the_hosts_own() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    (address,) = (a for a, why in world.state.addresses.providers["/servers/h1"][SCOPE].items() if why)
    text = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
    adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}
    world.delete("/weft/virtualMachines/vm1")
    world.wait(7200)
    world.machine("vm1", "h1", "Off", "vm1-nic")
    body = {"networkInterfaces": [{"resourceId": "a", "properties": adapter}], "providerAddresses": [text]}
    assert world.refused("/servers/h1", body).code in ("ResourceInUse", "PrivateIPAddressInUse")
