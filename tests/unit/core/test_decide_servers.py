"""Servers, their adapters and their provider addresses."""

from typing import Any

import pytest

from tests.unit.core.machines import WEB1, body, world
from tests.unit.core.world import World, provider_address_of, server_on, static_interface
from weft.core.changes import ResourceChange
from weft.model.leases import MAC_SCOPE

__all__ = ["world"]


def addresses(world: World, server: str) -> tuple[str, ...]:
    found: tuple[str, ...] = world.get(f"/servers/{server}").properties.provider_addresses
    return found


def test_a_server_gets_an_address_of_the_provider_subnet_it_names(world: World) -> None:
    assert (addresses(world, "h1"), addresses(world, "h2")) == (("192.168.1.10",), ("192.168.2.10",))
    assert provider_address_of(world, "H2", "/LogicalNetworks/hnvpa") == "192.168.2.10"
    assert provider_address_of(world, "h2", "/logicalNetworks/other") is None
    assert world.put("/servers/h1", server_on("pa1")).outcome == "unchanged"
    world.put("/servers/h3", {})
    assert addresses(world, "h3") == ()


def test_an_address_asked_for_is_taken_with_or_without_its_length(world: World) -> None:
    world.put("/servers/h3", {"providerAddresses": ["192.168.1.20/24"]})
    assert addresses(world, "h3") == ("192.168.1.20",)
    assert world.put("/servers/h3", {"providerAddresses": ["192.168.1.20"]}).outcome == "unchanged"
    assert world.put("/servers/h3", {}).outcome == "unchanged"
    refusal = world.refused("/servers/h4", {"providerAddresses": ["192.168.1.20"]})
    assert refusal.code == "PrivateIPAddressInUse"
    assert refusal.message == "192.168.1.20 is held by /servers/h3. Choose another address."


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("192.168.1.30", "PrivateIPAddressNotInSubnet"),
        ("10.0.0.1", "PrivateIPAddressNotInSubnet"),
        ("fd00::1", "PrivateIPAddressNotInSubnet"),
        ("host1", "InvalidPrivateIPAddressFormat"),
    ],
)
def test_an_address_outside_of_the_provider_pools_is_refused(world: World, asked: str, code: str) -> None:
    assert world.refused("/servers/h3", {"providerAddresses": [asked]}).code == code


def test_an_excluded_provider_address_is_refused(world: World) -> None:
    pool = {
        "startIpAddress": "192.168.1.10",
        "endIpAddress": "192.168.1.20",
        "excluded": [{"first": "192.168.1.15", "reason": "a printer"}],
    }
    world.put("/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool", pool)
    refusal = world.refused("/servers/h3", {"providerAddresses": ["192.168.1.15"]})
    assert refusal.code == "PrivateIPAddressInReservedRange"
    assert "printer" in refusal.message


def test_a_provider_address_changes_at_once_while_no_machine_is_bound(world: World) -> None:
    world.put(WEB1, body("n1"))
    world.delete(WEB1)
    world.put("/servers/h1", server_on("pa1") | {"providerAddresses": ["192.168.1.12", "192.168.1.11"]})
    assert addresses(world, "h1") == ("192.168.1.12", "192.168.1.11")
    assert world.put("/servers/h1", server_on("pa1")).outcome == "unchanged"
    assert world.counts("/logicalnetworks/hnvpa/subnets/pa1/ippools/pool") == {"assigned": 2, "cooling": 1, "free": 8}
    assert provider_address_of(world, "h1", "/logicalNetworks/hnvpa") == "192.168.1.11"
    world.put("/servers/h1", server_on("pa1") | {"providerAddresses": ["192.168.1.12"]})
    assert addresses(world, "h1") == ("192.168.1.12",)


def test_exhausted_provider_addresses_are_said_so(world: World) -> None:
    for at in range(10):
        world.put(f"/servers/more{at}", server_on("pa1"))
    refusal = world.refused("/servers/last", server_on("pa1"))
    assert refusal.code == "PAIpAddressExhausted"
    assert "11 assigned" in refusal.message
    world.put("/servers/last", {})


def test_a_server_made_before_the_provider_network_gets_its_address_later() -> None:
    world = World()
    world.put("/servers/h1", {})
    world.put("/servers/h2", {})
    only = {"addressPrefix": "192.168.1.0/24"}
    world.put("/logicalNetworks/hnvpa", {"networkVirtualizationEnabled": True})
    world.put("/logicalNetworks/hnvpa/subnets/pa", only)
    world.put("/servers/h1", {"model": "x"})
    assert addresses(world, "h1") == ()
    pool = {"startIpAddress": "192.168.1.10", "endIpAddress": "192.168.1.11"}
    world.put("/logicalNetworks/hnvpa/subnets/pa", only | {"ipPools": [{"resourceId": "p", "properties": pool}]})
    assert world.put("/servers/h1", {"model": "x"}).outcome == "replaced"
    assert addresses(world, "h1") == ("192.168.1.10",)
    etag = world.get("/servers/h2").etag
    changes = world.put(WEB1, body(server="/servers/h2")).changes
    assert [one.kind for one in changes if isinstance(one, ResourceChange)] == ["servers", "virtualMachines"]
    assert addresses(world, "h2") == ("192.168.1.11",)
    assert world.get("/servers/h2").etag != etag
    refusal = world.refused("/servers/h3", {})
    assert refusal.code == "PAIpAddressExhausted"


def test_one_address_in_each_provider_network_that_adapters_name(world: World) -> None:
    pool = {"startIpAddress": "fd00::10", "endIpAddress": "fd00::20"}
    six = {"addressPrefix": "fd00::/64", "ipPools": [{"resourceId": "p", "properties": pool}]}
    world.put("/logicalNetworks/six", {"networkVirtualizationEnabled": True})
    world.put("/logicalNetworks/six/subnets/pa", six)
    adapters = server_on("pa1")["networkInterfaces"]
    adapters[0]["properties"]["logicalSubnets"] += [
        {"resourceRef": "/logicalNetworks/hnvpa/subnets/pa2"},
        {"resourceRef": "/LogicalNetworks/six/subnets/PA"},
    ]
    stored = world.put("/servers/h3", {"networkInterfaces": adapters}).resource.properties
    assert stored.provider_addresses == ("192.168.1.11", "fd00::10")
    refs = [ref.resource_ref for ref in stored.network_interfaces[0].properties.logical_subnets]
    assert refs[2] == "/logicalNetworks/six/subnets/pa"
    assert provider_address_of(world, "h3", "/logicalNetworks/six") == "fd00::10"


@pytest.mark.parametrize("ref", ["", "/logicalNetworks/hnvpa", "/virtualNetworks/blue/subnets/web"])
def test_an_adapter_on_what_is_no_logical_subnet_is_refused(world: World, ref: str) -> None:
    adapter = {"resourceId": "nic1", "properties": {"logicalSubnets": [{"resourceRef": ref}]}}
    refusal = world.refused("/servers/h3", {"networkInterfaces": [adapter]})
    assert (refusal.code, refusal.target) == ("InvalidResourceReference", "logicalSubnets")


def adapter(mac: str) -> dict[str, Any]:
    return {"networkInterfaces": [{"resourceId": "nic1", "properties": {"mac": mac}}]}


def test_an_adapters_own_mac_is_given_to_nobody(world: World) -> None:
    world.put("/servers/h3", adapter("02-00-00-00-00-03"))
    assert world.counts("/macpools/p1")["foreign"] == 1
    refusal = world.refused("/networkInterfaces/n4", static_interface("020000000003"))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/servers/h3" in refusal.message
    assert world.interface("n4").properties.private_mac_address == "020000000004"
    assert world.put("/servers/h3", adapter("0200.0000.0003")).outcome == "replaced"
    world.put("/servers/h4", adapter("02-00-00-00-00-03"))
    world.delete("/servers/h3")
    assert world.counts("/macpools/p1")["foreign"] == 1
    world.put("/servers/h4", adapter(""))
    assert "foreign" not in world.counts("/macpools/p1")


@pytest.mark.parametrize("mac", ["", "unknown", "00-00-00-00-00-00"])
def test_an_adapter_without_address_says_nothing(world: World, mac: str) -> None:
    before = dict(world.state.leases(MAC_SCOPE))
    world.put("/servers/h3", adapter(mac))
    assert dict(world.state.leases(MAC_SCOPE)) == before


def test_an_adapter_cannot_have_the_mac_of_an_interface_but_one_that_cools(world: World) -> None:
    refusal = world.refused("/servers/h3", adapter("020000000000"))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n1" in refusal.message
    assert (refusal.scope, refusal.address, refusal.asker) == (MAC_SCOPE, 0x020000000000, "/servers/h3")
    world.delete("/networkInterfaces/n1")
    world.put("/servers/h3", adapter("020000000000"))
    world.wait(9000)
    assert world.counts("/macpools/p1")["foreign"] == 1


def test_a_server_with_machines_cannot_be_deleted_and_its_address_cools_after(world: World) -> None:
    world.put(WEB1, body("n1"))
    refusal = world.refused_delete("/servers/h1")
    assert refusal.code == "InUseServerCannotBeDeleted"
    assert WEB1 in refusal.message
    world.delete(WEB1)
    world.delete("/servers/h1")
    assert provider_address_of(world, "h1", "/logicalNetworks/hnvpa") is None
    assert world.counts("/logicalnetworks/hnvpa/subnets/pa1/ippools/pool") == {"cooling": 1, "free": 10}
