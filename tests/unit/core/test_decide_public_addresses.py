"""PUT and DELETE of publicIPAddresses, and who may name one."""

from typing import Any

import pytest

from tests.unit.core.gateway_world import GatewayWorld, internet, pool, ref, virtual_gateway
from tests.unit.core.world import dynamic_interface
from weft.model.leases import ip_scope

KEY = "/logicalnetworks/internet/subnets/public/ippools/p"


def static(text: str) -> dict[str, Any]:
    return {"publicIPAllocationMethod": "Static", "ipAddress": text}


def known_by(public: str, subnet: str = "/virtualNetworks/blue/subnets/web") -> dict[str, Any]:
    body = dynamic_interface(subnet)
    body["ipConfigurations"][0]["properties"]["publicIPAddress"] = ref(f"/publicIPAddresses/{public}")
    return body


def test_a_dynamic_address_is_the_next_free_one_and_is_kept() -> None:
    world = GatewayWorld()
    assert world.put("/publicIPAddresses/a").resource.properties.ip_address == "203.0.113.10"
    assert world.put("/publicIPAddresses/b").resource.properties.ip_address == "203.0.113.11"
    again = world.put("/publicIPAddresses/a", {"idleTimeoutInMinutes": 30, "ipAddress": "203.0.113.12"})
    assert again.resource.properties.ip_address == "203.0.113.10"
    assert world.counts(KEY) == {"assigned": 2, "free": 1}


def test_a_static_address_is_taken_and_a_second_is_refused_by_name() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a", static("203.0.113.11"))
    refusal = world.refused("/publicIPAddresses/b", static("203.0.113.11"))
    assert refusal.code == "PublicIPAddressInUse"
    assert "/publicIPAddresses/a" in refusal.message
    assert world.put("/publicIPAddresses/b").resource.properties.ip_address == "203.0.113.10"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"publicIPAllocationMethod": "Static"}, "PublicIPAddressMissing"),
        (static("no address"), "InvalidIPAddress"),
        (static("2001:db8::1"), "InvalidIPAddress"),
        (static("203.0.113.200"), "PublicIPAddressNotInSubnet"),
        (static("10.100.0.10"), "PublicIPAddressNotInSubnet"),
        ({"publicIPAllocationMethod": "Unmanaged"}, "InvalidParameterValue"),
        ({"publicIPAddressVersion": "IPv5"}, "InvalidParameterValue"),
        ({"idleTimeoutInMinutes": 3}, "PublicIPIdleTimeoutIsOutOfRange"),
        ({"idleTimeoutInMinutes": 31}, "PublicIPIdleTimeoutIsOutOfRange"),
    ],
)
def test_what_cannot_be_a_public_address_is_refused(body: dict[str, Any], code: str) -> None:
    assert GatewayWorld().refused("/publicIPAddresses/a", body).code == code


def test_the_pool_that_is_full_is_named_with_what_holds_it() -> None:
    world = GatewayWorld()
    for name in ("a", "b", "c"):
        world.put(f"/publicIPAddresses/{name}")
    refusal = world.refused("/publicIPAddresses/d")
    assert refusal.code == "SubnetIsFull"
    assert "ipPools/p (3 addresses: 3 assigned)" in refusal.message


def test_without_a_public_subnet_of_the_family_the_refusal_says_so() -> None:
    refusal = GatewayWorld().refused("/publicIPAddresses/a", {"publicIPAddressVersion": "IPv6"})
    assert refusal.code == "SubnetIsFull"
    assert "isPublic" in refusal.message


def test_a_deleted_address_cools_down_before_another_may_have_it() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a", static("203.0.113.10"))
    world.delete("/publicIPAddresses/a")
    assert world.refused("/publicIPAddresses/b", static("203.0.113.10")).code == "PublicIPAddressInUse"
    world.wait(3600)
    world.put("/publicIPAddresses/b", static("203.0.113.10"))


def test_the_version_is_fixed() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    refusal = world.refused("/publicIPAddresses/a", {"publicIPAddressVersion": "IPv6"})
    assert refusal.code == "PublicIPAddressVersionCannotUpdate"


def test_another_static_address_while_nobody_uses_it_lets_the_first_cool_down() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a", static("203.0.113.10"))
    world.put("/publicIPAddresses/a", static("203.0.113.12"))
    assert world.counts(KEY) == {"assigned": 1, "cooling": 1, "free": 1}


def test_an_address_in_use_is_neither_changed_nor_deleted() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    world.put("/networkInterfaces/n1", known_by("A"))
    stored = world.get("/networkInterfaces/n1").properties.ip_configurations[0].properties
    assert stored.public_ip_address.resource_ref == "/publicIPAddresses/a"
    assert world.refused("/publicIPAddresses/a", static("203.0.113.12")).code == "PublicIPAddressInUseCannotUpdate"
    world.put("/publicIPAddresses/a", {"idleTimeoutInMinutes": 9})
    refusal = world.refused_delete("/publicIPAddresses/a")
    assert refusal.code == "ResourceInUse"
    assert "/networkInterfaces/n1/ipConfigurations/" in refusal.message
    world.delete("/networkInterfaces/n1")
    world.delete("/publicIPAddresses/a")


def test_an_address_has_one_user() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    world.put("/networkInterfaces/n1", known_by("a"))
    world.put("/networkInterfaces/n1", known_by("a"))
    for place, body in (
        ("/networkInterfaces/n2", known_by("a")),
        (
            "/gatewayPools/gp2",
            pool("forwarding") | {"ipConfiguration": {"publicIPAddresses": [ref("/publicIPAddresses/a")]}},
        ),
        ("/virtualGateways/v", virtual_gateway(nat={"enabled": True, "publicIPAddress": ref("/publicIPAddresses/a")})),
    ):
        assert world.refused(place, body).code == "PublicIPAddressInUse", place


def test_an_address_is_named_once_in_one_interface() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    body = known_by("a")
    body["ipConfigurations"].append({**body["ipConfigurations"][0], "resourceId": "second"})
    assert world.refused("/networkInterfaces/n1", body).code == "PublicIPAddressInUse"


@pytest.mark.parametrize(
    ("subnet", "public", "code"),
    [
        ("/virtualNetworks/blue/subnets/web", "none", "InvalidResourceReference"),
        ("/logicalNetworks/physical/subnets/vlan100", "a", "InvalidParameterValue"),
    ],
)
def test_where_no_public_address_can_be(subnet: str, public: str, code: str) -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    assert world.refused("/networkInterfaces/n1", known_by(public, subnet)).code == code


def test_a_subnet_stays_public_while_an_address_of_it_is_held() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    refusal = world.refused("/logicalNetworks/internet", internet(isPublic=False))
    assert refusal.code == "InUseSubnetCannotBeUpdated"
    assert world.refused_delete("/logicalNetworks/internet").code == "InUseIpPoolCannotBeDeleted"
    world.delete("/publicIPAddresses/a")
    world.put("/logicalNetworks/internet", internet(isPublic=False))
    assert world.refused("/publicIPAddresses/b").code == "SubnetIsFull"


def test_the_holder_of_the_lease_is_the_public_address() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    (lease,) = world.state.leases(ip_scope("/logicalNetworks/internet", 4)).values()
    assert [(one.kind, one.ref, one.granted) for one in lease.holders] == [
        ("publicIPAddress", "/publicIPAddresses/a", True)
    ]
