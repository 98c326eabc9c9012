"""What a host should have, written by hand for small clusters; and that the view says the same."""

from msgspec.structs import replace

from tests.cluster import ways_out
from tests.cluster.world import World, sample
from tests.unit.core.hyperv.networks import DOMAIN, blue
from tests.unit.core.hyperv.worlds import RDID, identified, source_004
from weft.core import policy
from weft.core.hyperv.network_virtualization import (
    CustomerRoute,
    ProviderAddress,
    ProviderRoute,
    desired,
)
from weft.core.hyperv.policy_script import desired_of
from weft.model import records
from weft.model.fabric import LogicalSubnetProperties
from weft.model.resources import Ref, Resource
from weft.model.values import pack_ip
from weft.model.workload import HypervisorIdentity


def test_story_4_5_every_host_of_a_routing_domain_is_told_the_same_records():
    world = source_004()
    assert desired_of(world.state, "host1") == blue(1)
    assert desired_of(world.state, "HOST2") == blue(2)


def test_a_virtual_subnets_address_is_told_beside_the_hosts_own_with_one_route_for_both():
    world = source_004()
    world.subnet_address("host1", "/virtualNetworks/blue/subnets/web", "192.168.1.77")
    found = desired_of(world.state, "host1")
    assert found.provider_addresses == (ProviderAddress("192.168.1.10", 24), ProviderAddress("192.168.1.77", 24))
    assert found.provider_routes == (ProviderRoute("0.0.0.0/0", "192.168.1.1"),)
    places = {one.customer_address: one.provider_address for one in found.lookup_records if not one.is_gateway}
    assert set(places.values()) == {"192.168.1.77", "192.168.2.20"}


def test_story_4_7_each_subnet_has_its_route():
    found = desired_of(sample().state, "host1")
    assert [
        (one.virtual_subnet_id, one.destination_prefix, one.next_hop, one.metric) for one in found.customer_routes
    ] == [
        (5001, "10.1.1.0/24", "0.0.0.0", 255),
        (6001, "10.1.1.0/24", "0.0.0.0", 255),
        (6002, "10.1.2.0/24", "0.0.0.0", 255),
    ]


def test_story_4_c2_each_subnet_has_a_gateway_whose_provider_address_is_never_used():
    found = desired_of(sample().state, "host2")
    gateways = [one for one in found.lookup_records if one.is_gateway]
    assert [(one.virtual_subnet_id, one.customer_address) for one in gateways] == [
        (5001, "10.1.1.1"),
        (6001, "10.1.1.1"),
        (6002, "10.1.2.1"),
    ]
    assert {(one.mac_address, one.provider_address) for one in gateways} == {("025745465401", "169.254.254.254")}


def test_story_3_12_the_view_has_the_records_that_the_host_gets():
    world = sample()
    for host in ("host1", "host2"):
        own, seen = desired_of(world.state, host), policy.view(world.state, host)
        assert {
            (
                *(one["customerAddress"], one["virtualSubnetId"], one["macAddress"]),
                *(one["providerAddress"], one["rule"], one["type"], one["context"]),
            )
            for one in seen["lookupRecords"]
        } == {
            (
                *(one.customer_address, one.virtual_subnet_id, one.mac_address),
                *(one.provider_address, one.rule, one.type, one.context),
            )
            for one in own.lookup_records
        }
        assert {one["providerAddress"] for one in seen["providerAddresses"]} == {
            one.provider_address for one in own.provider_addresses
        }
        assert {(one["routingDomainId"], one["virtualSubnetId"]) for one in seen["customerRoutes"]} == {
            (one.routing_domain_id, one.virtual_subnet_id) for one in own.customer_routes
        }
        assert {one["instanceId"] for one in seen["ports"]} == {one.instance_id for one in own.ports}


def test_a_machine_is_named_by_its_hypervisors_id_and_its_adapters_by_their_place():
    world = source_004()
    world.interface("second", 0x101010101109, ("/virtualNetworks/blue/subnets/web", "10.1.1.13"))
    world.change_machine(
        "BlueVM1",
        network_interfaces=(Ref("/networkInterfaces/BlueVM1-eth0"), Ref("/networkInterfaces/second")),
        hypervisor=HypervisorIdentity(type="hyperv", id="AA-1"),
    )
    found = desired_of(world.state, "host1").ports
    assert [(one.network_interface, one.machine_id, one.position, one.of) for one in found] == [
        ("BlueVM1-eth0", "aa-1", 0, 2),
        ("second", "aa-1", 1, 2),
    ]


def test_a_machine_that_comes_is_not_expected_and_one_that_is_off_is():
    world = source_004()
    world.power("BlueVM1", "Off")
    world.move("BlueVM2", "host1", "preparing")
    found = desired_of(world.state, "host1")
    assert {one.machine: one.expected for one in found.ports} == {"BlueVM1": True, "BlueVM2": False}
    assert [one.customer_address for one in found.lookup_records] == ["10.1.1.1", "10.1.1.12"]


def test_the_vlan_of_the_provider_subnet_goes_along():
    world = source_004()
    change_provider_subnets(world, vlan_id=7)
    assert desired_of(world.state, "host1").provider_addresses == (ProviderAddress("192.168.1.10", 24, 7),)


def change_provider_subnets(world: World, **values) -> None:
    old = world.state.get("logicalNetworks", "hnvpa").properties
    subnets = tuple(replace(one, properties=replace(one.properties, **values)) for one in old.subnets)
    world.put("logicalNetworks", "hnvpa", replace(old, subnets=subnets))


def test_story_4_8_a_host_that_cannot_reach_its_peers_says_so():
    world = source_004()
    change_provider_subnets(world, default_gateways=())
    found = desired_of(world.state, "host1")
    assert found.provider_routes == ()
    assert found.warnings == (
        "The provider subnet of this host names no gateway, so 192.168.2.20 and other subnets cannot be reached.",
    )
    world.ways("pa1", ("192.168.2.0/24", "192.168.1.254"))
    found = desired_of(world.state, "host1")
    assert found.provider_routes == (ProviderRoute("192.168.2.0/24", "192.168.1.254"),)
    assert found.warnings == ()
    near = World()
    near.fabric(pa="192.168.1.0/24")
    change_provider_subnets(near, default_gateways=())
    near.server("host1", "192.168.1.10")
    assert desired_of(near.state, "host1").warnings == ()


def test_story_4_8_a_host_without_provider_address_says_so():
    world = source_004()
    world.server("host1")
    assert desired_of(world.state, "host1").warnings == (
        "This host has no provider address: nothing of its virtual networks reaches other hosts.",
    )


def test_of_a_dual_stack_pair_the_first_version_takes_one_half():
    world = World()
    world.protocol("NVGRE")
    world.fabric(pa="192.168.1.0/24")
    world.server("host1", "192.168.1.10")
    world.network("six", 70, {"v6": ("fd00:7::/64", 7001), "v4": ("10.7.0.0/24", 7001), "alone": ("fd00:8::/64", 7002)})
    ref = "/virtualNetworks/six/subnets/"
    world.interface("a", 0x101010101150, (ref + "v4", "10.7.0.5"), (ref + "v6", "fd00:7::5"))
    world.interface("b", 0x101010101151, (ref + "alone", "fd00:8::5"))
    world.machine("s", "host1", ["a", "b"], "Running")
    found = desired_of(world.state, "host1")
    assert [one.customer_address for one in found.lookup_records] == ["10.7.0.1", "10.7.0.5", "fd00:8::1", "fd00:8::5"]
    assert [(one.destination_prefix, one.next_hop) for one in found.customer_routes] == [
        ("10.7.0.0/24", "0.0.0.0"),
        ("fd00:8::/64", "::"),
    ]
    assert found.warnings == (
        "fd00:7::/64 of network six is left out: Hyper-V takes one route for each virtual subnet; 7001 has another.",
    )


def test_a_network_over_vxlan_is_warned_of():
    world = source_004()
    world.protocol("VXLAN")
    (warning,) = desired_of(world.state, "host1").warnings
    assert "VXLAN" in warning
    assert "networkVirtualizationProtocol" in warning


def test_a_network_whose_records_have_not_come_is_waited_for():
    needed = records.NeededNetwork(60, "/virtualNetworks/blue")
    old = records.NetworkSettings(60, "nvgre", "/virtualNetworks/blue")
    address = records.ProviderAddress(pack_ip("fd00:1::1"), 64, pack_ip("fd00:1::ff"), "/logicalNetworks/hnvpa")
    for networks in ({}, {60: [old]}):
        found = desired([needed, address], networks)
        assert found.lookup_records == ()
        assert found.provider_routes == (ProviderRoute("::/0", "fd00:1::ff"),)
        assert found.warnings == ("The records of network blue have not come yet.",)


def test_a_port_without_its_machine_is_left_out():
    binding = records.PortBinding("id", "nic", 60, 6001, 1, (), pack_ip("192.168.1.10"))
    assert desired([binding], {}).ports == ()


def test_a_subnet_of_a_provider_network_may_have_no_prefix():
    world = source_004()
    old = world.state.get("logicalNetworks", "hnvpa").properties
    bare = Resource(resource_id="bare", instance_id="x", properties=LogicalSubnetProperties(vlan_id=3))
    world.put("logicalNetworks", "hnvpa", replace(old, subnets=(bare, *old.subnets)))
    assert desired_of(world.state, "host1") == blue(1)


def with_a_way_out(world: World) -> World:
    """Blue has a gateway on host2, in a subnet of its own."""
    world.network("blue", 60, {"web": ("10.1.1.0/24", 6001), "gw": ("10.1.9.0/24", 6009)})
    identified(world, "virtualNetworks", "blue", RDID)
    ways_out.gateway(world, "g1", "host2")
    ways_out.way_out(world, "blue", "gw", "10.1.9.4", ("g1",))
    return world


def test_a_network_with_a_gateway_has_the_default_route_and_the_record_for_all_outside():
    found = desired_of(with_a_way_out(source_004()).state, "host1")
    way = [one for one in found.lookup_records if one.virtual_subnet_id == 6009 and not one.is_gateway]
    assert [(one.customer_address, one.type, one.provider_address) for one in way] == [
        ("0.0.0.0", "GatewayWildcard", "192.168.2.20"),
        ("10.1.9.4", "Static", "192.168.2.20"),
    ]
    assert {(one.mac_address, one.context, one.customer_id) for one in way} == {
        ("101010109904", "weft:blue", DOMAIN),
    }
    assert found.customer_routes == (
        CustomerRoute(DOMAIN, 6001, "10.1.1.0/24", "0.0.0.0", 255),
        CustomerRoute(DOMAIN, 6009, "0.0.0.0/0", "10.1.9.4", 255),
    )
    assert found.warnings == ()


def test_a_machine_in_the_gateways_subnet_is_warned_of():
    world = with_a_way_out(source_004())
    world.interface("late-eth0", 0x101010101109, ("/virtualNetworks/blue/subnets/gw", "10.1.9.9"))
    world.machine("late", "host1", ["late-eth0"], "Running")
    [warning] = desired_of(world.state, "host1").warnings
    assert warning.startswith("Virtual subnet 6009 of network blue has the default route, in place of its own")


def test_without_a_gateway_that_serves_it_a_network_has_no_way_out():
    world = with_a_way_out(source_004())
    ways_out.way_out(world, "blue", "gw", "10.1.9.4", ())
    found = desired_of(world.state, "host1")
    assert [one.destination_prefix for one in found.customer_routes] == ["10.1.1.0/24", "10.1.9.0/24"]
    ways_out.way_out(world, "blue", "gw", "fd00:9::4", ("g1",))
    assert desired_of(world.state, "host1").customer_routes == found.customer_routes, "of the other family"
