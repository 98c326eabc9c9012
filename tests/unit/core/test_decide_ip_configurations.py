"""The addresses of interfaces: Dynamic, Static, Unmanaged; virtual and logical subnets; both families."""

from typing import Any

import pytest

from tests.unit.core.world import World, scope_of, virtual_network

BLUE = "/virtualNetworks/blue/subnets/web"
BLUE6 = "/virtualNetworks/blue/subnets/web6"


def interface(*configurations: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    entries = [{"resourceId": name, "properties": properties} for name, properties in configurations]
    return {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": entries, **more}


def dynamic(subnet: str = BLUE) -> dict[str, Any]:
    return {"subnet": {"resourceRef": subnet}}


def static(address: str | None, subnet: str = BLUE) -> dict[str, Any]:
    return {
        "subnet": {"resourceRef": subnet},
        "privateIPAllocationMethod": "Static",
        "privateIPAddress": address,
    }


def unmanaged(subnet: str) -> dict[str, Any]:
    return {"subnet": {"resourceRef": subnet}, "privateIPAllocationMethod": "Unmanaged", "privateIPAddress": "1.1.1.1"}


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    web = {"addressPrefix": "10.1.1.0/29", "dualStackSubnet": {"resourceRef": BLUE6.upper()}, "coolDownSeconds": 60}
    world.put(
        "/virtualNetworks/blue",
        virtual_network({"web": web, "web6": "fd00:0:0:1::/64", "db": "10.1.2.0/24"}),
    )
    world.put(
        "/logicalNetworks/office",
        {
            "subnets": [
                {
                    "resourceId": "lan",
                    "properties": {
                        "addressPrefix": "172.16.0.0/24",
                        "defaultGateways": ["172.16.0.254"],
                        "ipPools": [
                            {
                                "resourceId": name,
                                "properties": {"startIpAddress": f"172.16.0.{a}", "endIpAddress": f"172.16.0.{b}"},
                            }
                            for name, a, b in (("low", 10, 11), ("high", 253, 255))
                        ],
                    },
                },
                {"resourceId": "bare", "properties": {"vlanID": 9}},
                {"resourceId": "nopool", "properties": {"addressPrefix": "172.16.1.0/24"}},
            ]
        },
    )
    return world


def addresses(world: World, name: str) -> list[str | None]:
    found = world.get(f"/networkInterfaces/{name}").properties.ip_configurations
    return [one.properties.private_ip_address for one in found]


def test_dynamic_addresses_skip_network_gateway_and_broadcast(world: World) -> None:
    for at in range(5):
        world.put(f"/networkInterfaces/n{at}", interface(("ip1", dynamic())))
    assert [addresses(world, f"n{at}") for at in range(5)] == [[f"10.1.1.{at}"] for at in range(2, 7)]
    refusal = world.refused("/networkInterfaces/n5", interface(("ip1", dynamic())))
    assert refusal.code == "SubnetIsFull"
    assert "Use another subnet of the network" in refusal.message and "Add a pool" not in refusal.message
    assert "5 assigned, 3 reserved" in refusal.message
    assert world.counts(f"{BLUE.lower()}/4") == {"assigned": 5, "reserved": 3}


def test_a_dual_stack_interface_gets_one_address_of_each_family(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("v4", dynamic()), ("v6", dynamic(BLUE6))))
    assert addresses(world, "n1") == ["10.1.1.2", "fd00:0:0:1::2"]
    lease = world.mac_lease("020000000000")
    assert lease is not None
    assert lease.holders[0].domain == BLUE.lower()


def test_several_addresses_of_one_interface_differ(world: World) -> None:
    wanted = (("a", static("10.1.1.3")), ("b", dynamic()), ("c", dynamic()))
    world.put("/networkInterfaces/n1", interface(*wanted))
    assert addresses(world, "n1") == ["10.1.1.3", "10.1.1.2", "10.1.1.4"]


def test_one_interface_can_take_the_whole_subnet_and_no_more(world: World) -> None:
    wanted = [(f"c{at}", dynamic()) for at in range(6)]
    assert world.refused("/networkInterfaces/n1", interface(*wanted)).code == "SubnetIsFull"
    world.put("/networkInterfaces/n1", interface(*wanted[:5]))
    assert len(set(addresses(world, "n1"))) == 5


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ({}, "SubnetIsRequired"),
        ({"subnet": {"resourceRef": ""}}, "SubnetIsRequired"),
        (dynamic("/virtualNetworks/blue/subnets/none"), "InvalidResourceReference"),
        (dynamic("/virtualNetworks/blue"), "InvalidResourceReference"),
        ({**dynamic(), "privateIPAllocationMethod": "Learned"}, "InvalidParameterValue"),
        (static(None), "PrivateIPAddressMissing"),
        (static(""), "PrivateIPAddressMissing"),
        (static("10.1.1"), "InvalidPrivateIPAddressFormat"),
        (static("10.1.1.8"), "PrivateIPAddressNotInSubnet"),
        (static("fd00:0:0:1::5"), "PrivateIPAddressNotInSubnet"),
        (static("::a01:103"), "PrivateIPAddressNotInSubnet"),
        (static("10.1.1.0"), "PrivateIPAddressInReservedRange"),
        (static("10.1.1.1"), "PrivateIPAddressInReservedRange"),
        (static("10.1.1.7"), "PrivateIPAddressInReservedRange"),
        (static("fd00:0:0:1::", BLUE6), "PrivateIPAddressInReservedRange"),
        (static("fd00:0:0:1::1", BLUE6), "PrivateIPAddressInReservedRange"),
        (static("172.16.0.254", "/logicalNetworks/office/subnets/lan"), "PrivateIPAddressInReservedRange"),
        (unmanaged(BLUE), "UnmanagedAllocationMethodNotSupported"),
        (unmanaged("/logicalNetworks/hnvpa/subnets/pa1"), "UnmanagedAllocationMethodNotSupported"),
        (dynamic("/logicalNetworks/office/subnets/bare"), "PrivateIpAllocationMethodMustBeUnmanaged"),
        (dynamic("/logicalNetworks/office/subnets/nopool"), "SubnetIsFull"),
    ],
)
def test_a_wrong_configuration_is_refused(world: World, configuration: dict[str, Any], code: str) -> None:
    refusal = world.refused("/networkInterfaces/n1", interface(("ip1", configuration)))
    assert refusal.code == code
    about = "/networkInterfaces/n1" if code == "PrivateIPAddressInReservedRange" else ""
    assert (bool(refusal.scope), refusal.asker) == (bool(about), about)


def test_an_address_without_a_method_is_refused_unless_it_is_the_interface_s_own(world: World) -> None:
    named = {**dynamic(), "privateIPAddress": "10.1.1.5"}
    refusal = world.refused("/networkInterfaces/n1", interface(("ip1", named)))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "privateIPAllocationMethod")
    assert "ip1 names 10.1.1.5 and no privateIPAllocationMethod" in refusal.message
    world.put("/networkInterfaces/n1", interface(("ip1", {**named, "privateIPAllocationMethod": "Dynamic"})))
    assert addresses(world, "n1") == ["10.1.1.2"], "read only, where it is Dynamic"
    world.put("/networkInterfaces/n1", interface(("ip1", {**named, "privateIPAddress": "10.1.1.2"})))
    assert addresses(world, "n1") == ["10.1.1.2"]
    assert world.refused("/networkInterfaces/n1", interface(("ip1", named))).target == "privateIPAllocationMethod"


def test_an_address_in_use_is_refused_by_name_and_legal_in_another_network(world: World) -> None:
    world.network("red", "10.1.1.0/29")
    world.put("/networkInterfaces/n1", interface(("ip1", static("10.1.1.3"))))
    refusal = world.refused("/networkInterfaces/n2", interface(("ip1", static("10.1.1.3"))))
    assert refusal.code == "PrivateIPAddressInUse"
    assert "/networkInterfaces/n1" in refusal.message
    assert (refusal.scope, refusal.address) == (scope_of("blue"), 0x0A010103)
    assert refusal.asker == "/networkInterfaces/n2"
    world.put("/networkInterfaces/n2", interface(("ip1", static("10.1.1.3", "/virtualNetworks/red/subnets/web"))))


def test_one_interface_cannot_ask_for_an_address_twice(world: World) -> None:
    refusal = world.refused("/networkInterfaces/n1", interface(("a", static("10.1.1.3")), ("b", static("10.1.1.3"))))
    assert refusal.code == "PrivateIPAddressInUse"


def test_one_interface_is_in_one_subnet_or_its_pair(world: World) -> None:
    db = "/virtualNetworks/blue/subnets/db"
    refusal = world.refused("/networkInterfaces/n1", interface(("a", dynamic()), ("b", dynamic(db))))
    assert refusal.code == "InvalidSubnet"
    assert "dual-stack pair" in refusal.message


def test_a_host_interface_connects_to_logical_networks_only(world: World) -> None:
    host = {"isHostVirtualNetworkInterface": True}
    refusal = world.refused("/networkInterfaces/n1", interface(("a", dynamic()), **host))
    assert refusal.code == "HostVirtualNetworkInterfaceCannotConnectToVirtualNetwork"
    world.put("/networkInterfaces/n1", interface(("a", dynamic("/logicalNetworks/office/subnets/lan")), **host))


def test_a_logical_subnet_grants_from_its_pools_and_takes_static_ones_anywhere(world: World) -> None:
    lan = "/LOGICALNETWORKS/office/subnets/LAN"
    for at in range(3):
        world.put(f"/networkInterfaces/n{at}", interface(("a", dynamic(lan))))
    assert [addresses(world, f"n{at}") for at in range(3)] == [["172.16.0.10"], ["172.16.0.11"], ["172.16.0.253"]]
    stored = world.get("/networkInterfaces/n0").properties.ip_configurations[0]
    assert stored.properties.subnet.resource_ref == "/logicalNetworks/office/subnets/lan"
    assert world.refused("/networkInterfaces/n3", interface(("a", dynamic(lan)))).code == "SubnetIsFull"
    world.put("/networkInterfaces/n3", interface(("a", static("172.16.0.99", lan))))
    world.delete("/networkInterfaces/n3")
    assert world.state.lease("ip4/logicalnetworks/office", 0xAC100063) is None


def test_an_address_that_its_pool_excludes_is_accepted_from_its_holder_only(world: World) -> None:
    lan = "/logicalNetworks/office/subnets/lan"
    world.put("/networkInterfaces/n1", interface(("a", static("172.16.0.10", lan))))
    pool = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.11", "excluded": [{"first": "172.16.0.10"}]}
    pool["excluded"].append({"first": "172.16.0.11", "reason": "printer"})
    world.put(f"{lan}/ipPools/low", pool)
    refusal = world.refused("/networkInterfaces/n2", interface(("a", static("172.16.0.11", lan))))
    assert (refusal.code, refusal.status) == ("PrivateIPAddressInReservedRange", 400)
    assert "172.16.0.11 is excluded" in refusal.message and "printer" in refusal.message
    world.put("/networkInterfaces/n1", interface(("a", static("172.16.0.10", lan)), dnsSettings=None))
    assert addresses(world, "n1") == ["172.16.0.10"]


def test_unmanaged_addresses_are_none_of_ours(world: World) -> None:
    for subnet in ("lan", "bare"):
        body = interface(("a", unmanaged(f"/logicalNetworks/office/subnets/{subnet}")))
        world.put(f"/networkInterfaces/{subnet}", body)
        assert addresses(world, subnet) == [None]
        assert world.put(f"/networkInterfaces/{subnet}", body).outcome == "unchanged"
        world.delete(f"/networkInterfaces/{subnet}")


def test_an_update_keeps_the_granted_address_in_its_subnet(world: World) -> None:
    body = interface(("ip1", dynamic()))
    world.put("/networkInterfaces/n0", body)
    world.put("/networkInterfaces/n1", body)
    assert world.put("/networkInterfaces/n1", interface(("IP1", dynamic(BLUE.upper())))).outcome == "unchanged"
    world.put("/networkInterfaces/n1", interface(("ip1", dynamic()), ("ip2", dynamic())))
    assert addresses(world, "n1") == ["10.1.1.3", "10.1.1.4"]
    world.put("/networkInterfaces/n1", interface(("ip2", dynamic())))
    assert addresses(world, "n1") == ["10.1.1.4"]


def test_dynamic_to_static_and_back_keeps_the_address(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("ip1", dynamic())))
    world.put("/networkInterfaces/n1", interface(("ip1", static("10.1.1.2"))))
    world.put("/networkInterfaces/n1", interface(("ip1", dynamic())))
    assert addresses(world, "n1") == ["10.1.1.2"]
    assert world.counts(f"{BLUE.lower()}/4") == {"assigned": 1, "reserved": 3, "free": 4}


def test_an_address_goes_from_one_configuration_to_another(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("a", dynamic()), ("b", static("10.1.1.5"))))
    world.put("/networkInterfaces/n1", interface(("a", static("10.1.1.5")), ("b", static("10.1.1.2"))))
    assert addresses(world, "n1") == ["10.1.1.5", "10.1.1.2"]
    world.put("/networkInterfaces/n1", interface(("a", dynamic()), ("b", static("10.1.1.5"))))
    assert addresses(world, "n1") == ["10.1.1.3", "10.1.1.5"]


def test_another_subnet_means_another_address_and_the_old_one_cools(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("ip1", dynamic())))
    world.put("/networkInterfaces/n1", interface(("ip1", dynamic("/virtualNetworks/blue/subnets/db"))))
    assert addresses(world, "n1") == ["10.1.2.2"]
    old = world.state.lease(scope_of("blue"), 0x0A010102)
    assert old is not None
    assert (old.state, old.until) == ("cooling", 1060.0)


def test_a_cooling_address_is_skipped_by_grants_and_returned_to_its_last_holder(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("ip1", static("10.1.1.2"))))
    world.delete("/networkInterfaces/n1")
    refusal = world.refused("/networkInterfaces/n2", interface(("ip1", static("10.1.1.2"))))
    assert refusal.code == "PrivateIPAddressInUse"
    assert "60 s" in refusal.message
    world.put("/networkInterfaces/n2", interface(("ip1", dynamic())))
    assert addresses(world, "n2") == ["10.1.1.3"]
    world.put("/networkInterfaces/n1", interface(("ip1", static("10.1.1.2"))))
    assert addresses(world, "n1") == ["10.1.1.2"]


def test_deleting_a_configuration_alone_releases_its_address(world: World) -> None:
    world.put("/networkInterfaces/n1", interface(("a", dynamic()), ("b", dynamic())))
    assert world.delete("/networkInterfaces/n1/ipConfigurations/A").outcome == "deleted"
    assert addresses(world, "n1") == ["10.1.1.3"]
    assert world.counts(f"{BLUE.lower()}/4") == {"assigned": 1, "cooling": 1, "reserved": 3, "free": 3}
