"""Small clusters and the records that must come of them, written by hand."""

import pytest
from msgspec.structs import replace

from tests.cluster.world import instance, sample
from weft.core import policy
from weft.model.fabric import LogicalSubnetProperties
from weft.model.records import (
    CustomerRoute,
    LookupRecord,
    Machine,
    NeededNetwork,
    NetworkSettings,
    PeerNetwork,
    PortBinding,
    ProviderAddress,
    SubnetRecord,
    TunnelEndpoint,
)
from weft.model.resources import Resource
from weft.model.values import pack_ip
from weft.model.workload import HypervisorIdentity

PA1, PA2, PA3 = pack_ip("192.168.1.10"), pack_ip("192.168.2.20"), pack_ip("192.168.1.30")
BESIDE_1 = ((pack_ip("192.168.2.0"), 24),)
"""Of the provider network, beside the subnet that PA1 and PA3 are in."""
BLUE = ("network", 60)
MAC = 0x101010101100


def touched(world):
    return policy.touched(world.state, world.taken())


def eth0(name):
    return instance(f"networkInterfaces/{name}-eth0")


def port(world, host, name):
    return policy.record(world.state, ("host", host), (13, eth0(name).encode()))


def machine(world, host, name):
    return policy.record(world.state, ("host", host), (14, name.encode()))


def lookup(world, vsid, address, rdid=60):
    return policy.record(world.state, ("network", rdid), (5, vsid, pack_ip(address)))


def test_a_routing_domain_is_told_its_subnets_routes_hosts_and_running_machines():
    world = sample()
    zeros = pack_ip("0.0.0.0")
    web, db = pack_ip("10.1.1.0"), pack_ip("10.1.2.0")
    assert set(policy.network_stream(world.state, 60).values()) == {
        NetworkSettings(60, "nvgre", "/virtualNetworks/Blue", instance("virtualNetworks/Blue")),
        SubnetRecord(6001, web, 24, pack_ip("10.1.1.1")),
        SubnetRecord(6002, db, 24, pack_ip("10.1.2.1")),
        CustomerRoute(6001, web, 24, zeros, 255),
        CustomerRoute(6002, db, 24, zeros, 255),
        TunnelEndpoint(PA1, "Host1", probed=False),
        TunnelEndpoint(PA2, "host2", probed=False),
        LookupRecord(6001, pack_ip("10.1.1.11"), MAC + 1, PA1),
        LookupRecord(6001, pack_ip("10.1.1.12"), MAC + 2, PA2),
        LookupRecord(6002, pack_ip("10.1.2.21"), MAC + 3, PA2),
    }


def test_a_host_is_told_its_address_its_networks_its_ports_and_its_machines():
    world = sample()
    assert set(policy.host_stream(world.state, "HOST1").values()) == {
        ProviderAddress(PA1, 24, pack_ip("192.168.1.1"), "/logicalNetworks/hnvpa", beyond=BESIDE_1),
        NeededNetwork(60, "/virtualNetworks/Blue"),
        NeededNetwork(50, "/virtualNetworks/red"),
        PortBinding(eth0("blue1"), "blue1-eth0", 60, 6001, MAC + 1, (pack_ip("10.1.1.11"),), PA1),
        PortBinding(eth0("red1"), "red1-eth0", 50, 5001, 0x101010102201, (pack_ip("10.1.1.11"),), PA1),
        Machine("blue1", "Running", (eth0("blue1"),), "", macs=(MAC + 1,)),
        Machine("red1", "Running", (eth0("red1"),), "", macs=(0x101010102201,)),
    }


def test_an_address_is_told_with_what_its_gateway_leads_to_and_anew_when_that_changes():
    world = sample()
    told = policy.host_stream(world.state, "host2")[11, PA2]
    assert told.beyond == ((pack_ip("192.168.1.0"), 24),)
    world.taken()
    world.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24", pa3="192.168.3.0/25", six="fd00:9::/64")
    assert (("host", "host2"), (11, PA2)) in touched(world)
    assert policy.record(world.state, ("host", "host2"), (11, PA2)).beyond == (
        (pack_ip("192.168.1.0"), 24),
        (pack_ip("192.168.3.0"), 25),
    )
    logical = world.state.get("logicalNetworks", "hnvpa").properties
    without = tuple(replace(one, properties=replace(one.properties, default_gateways=())) for one in logical.subnets)
    world.put("logicalNetworks", "hnvpa", replace(logical, subnets=without))
    assert policy.record(world.state, ("host", "host2"), (11, PA2)).beyond == ()


def test_an_address_is_told_the_routes_of_its_subnet_and_those_of_another_touch_it_not():
    world = sample()
    world.taken()
    # the others are of a release that let them in
    others = ("0.0.0.0/0", "10.8.0.1/32", "fd00:9::/64", "169.254.7.0/24")
    world.ways("pa1", *((one, "192.168.1.254") for one in ("10.9.0.0/16", *others)))
    assert touched(world) == {(("host", "host1"), (11, PA1))}
    told = policy.record(world.state, ("host", "host1"), (11, PA1))
    assert told.routes == ((pack_ip("10.9.0.0"), 16, pack_ip("192.168.1.254")),)
    assert told.beyond == BESIDE_1


def test_a_stream_of_nothing_is_empty():
    world = sample()
    assert policy.network_stream(world.state, 99) == {}
    assert policy.host_stream(world.state, "nowhere") == {}
    assert policy.record(world.state, ("network", 99), (1,)) is None
    assert policy.record(world.state, ("host", "nowhere"), (12, 60)) is None
    for key in ((9,), (4, pack_ip("192.168.9.9")), (2, 7000, PA1), (5, 6001, pack_ip("10.1.1.99"))):
        assert policy.record(world.state, BLUE, key) is None
    for key in ((9,), (11, PA2), (12, 99), (13, b"no-such"), (14, b"no-such"), (14, b"BLUE1"), (14, b"blue2")):
        assert policy.record(world.state, ("host", "host1"), key) is None
    assert port(world, "host1", "blue2") is None
    instance_of_server = instance("servers/host1").encode()
    assert policy.record(world.state, ("host", "host1"), (13, instance_of_server)) is None


def test_a_host_without_a_machine_of_a_network_hears_nothing_of_it():
    world = sample()
    world.server("host3", "192.168.1.30")
    assert set(policy.host_stream(world.state, "host3").values()) == {
        ProviderAddress(PA3, 24, pack_ip("192.168.1.1"), "/logicalNetworks/hnvpa", beyond=BESIDE_1)
    }
    assert policy.record(world.state, BLUE, (4, PA3)) is None


@pytest.mark.parametrize("power", ["Off", "Saved"])
def test_a_machine_that_does_not_run_keeps_its_port_and_has_no_lookup_record(power):
    world = sample()
    world.power("blue2", power)
    assert lookup(world, 6001, "10.1.1.12") is None
    assert port(world, "host2", "blue2").mac == MAC + 2
    assert machine(world, "host2", "blue2").power == power


def test_without_machine_server_or_provider_address_there_is_no_lookup_record():
    world = sample()
    world.interface("lone", MAC + 9, ("/virtualNetworks/Blue/subnets/web", "10.1.1.50"))
    assert lookup(world, 6001, "10.1.1.50") is None
    world.machine("lonely", "", ["lone"], "Running")
    assert lookup(world, 6001, "10.1.1.50") is None
    world.server("bare")
    world.change_machine("lonely", server=world.state.get("virtualMachines", "blue1").properties.server)
    assert lookup(world, 6001, "10.1.1.50").provider_address == PA1
    world.machine("lonely", "bare", ["lone"], "Running")
    assert lookup(world, 6001, "10.1.1.50") is None
    binding = policy.record(world.state, ("host", "bare"), (13, instance("networkInterfaces/lone").encode()))
    assert (binding.provider_address, binding.forward_to) == (b"", b"")


def test_vxlan_is_told_when_the_network_manager_says_so():
    world = sample()
    world.taken()
    world.protocol("VXLAN")
    named = policy.touched(world.state, world.taken())
    assert named == {(BLUE, (1,)), (("network", 50), (1,))}
    assert policy.record(world.state, BLUE, (1,)).encapsulation == "vxlan"


def test_a_dual_stack_interface_has_one_port_with_both_addresses():
    world = sample()
    world.network("six", 70, {"v4": ("10.7.0.0/24", 7001), "v6": ("fd00:7::/64", 7001), "other": ("10.8.0.0/24", 7002)})
    ref = "/virtualNetworks/six/subnets/"
    world.interface("s-eth0", MAC + 50, (ref + "v4", "10.7.0.5"), (ref + "v6", "fd00:7::5"))
    world.machine("s", "host1", ["s-eth0"], "Running")
    binding = policy.record(world.state, ("host", "host1"), (13, instance("networkInterfaces/s-eth0").encode()))
    assert lookup(world, 7001, "fd00:7::5", rdid=70).mac == MAC + 50
    assert (binding.vsid, binding.addresses) == (7001, (pack_ip("10.7.0.5"), pack_ip("fd00:7::5")))
    shown = [one for one in policy.view(world.state, "host1")["lookupRecords"] if one["vmName"] == "s"]
    assert [one["customerAddress"] for one in shown] == ["10.7.0.5", "fd00:7::5"]
    found = {
        one.customer_address for one in policy.network_stream(world.state, 70).values() if isinstance(one, LookupRecord)
    }
    assert found == {pack_ip("10.7.0.5"), pack_ip("fd00:7::5")}
    assert (
        CustomerRoute(7001, pack_ip("fd00:7::"), 64, pack_ip("::"), 255)
        in policy.network_stream(world.state, 70).values()
    )


def test_an_interface_of_a_logical_network_has_no_port_in_the_overlay():
    world = sample()
    world.interface("plain", MAC + 60, ("/logicalNetworks/hnvpa/subnets/pa1", "192.168.1.77"))
    world.machine("plain", "host1", ["plain"], "Running")
    assert policy.record(world.state, ("host", "host1"), (13, instance("networkInterfaces/plain").encode())) is None
    assert (13, instance("networkInterfaces/plain").encode()) not in policy.host_stream(world.state, "host1")
    assert policy.record(world.state, BLUE, (4, pack_ip("192.168.1.77"))) is None, "held, but not by a server"
    assert machine(world, "host1", "plain").instance_ids == (instance("networkInterfaces/plain"),)


def test_an_interface_in_two_networks_is_told_to_each_with_its_own_address():
    world = sample()
    places = (("/virtualNetworks/Blue/subnets/web", "10.1.1.12"), ("/virtualNetworks/red/subnets/web", "10.1.1.77"))
    world.interface("blue2-eth0", MAC + 2, *places)
    assert lookup(world, 6001, "10.1.1.12").provider_address == PA2
    assert lookup(world, 5001, "10.1.1.77", rdid=50).provider_address == PA2
    assert lookup(world, 6001, "10.1.1.77") is None


def test_a_subnet_that_went_takes_its_records_along():
    world = sample()
    world.interface("both", MAC + 30, ("/logicalNetworks/hnvpa/subnets/pa1", "192.168.1.77"))
    world.machine("blue1", "host1", ["blue1-eth0", "both"], "Running")
    world.taken()
    world.network("Blue", 60, {"db": ("10.1.2.0/24", 6002)})
    world.machine("blue1", "host2", ["blue1-eth0", "both"], "Running")
    keys = policy.touched(world.state, world.taken())
    for key in ((2, 6001, pack_ip("10.1.1.0")), (5, 6001, pack_ip("10.1.1.11")), (5, 6001, pack_ip("10.1.1.12"))):
        assert (BLUE, key) in keys
        assert policy.record(world.state, BLUE, key) is None
    assert (("host", "host2"), (13, eth0("blue2").encode())) in keys
    assert port(world, "host2", "blue2") is None


def test_a_network_that_no_logical_network_carries_has_no_endpoints_and_no_lookup_records():
    world = sample()
    blue = world.state.get("virtualNetworks", "blue")
    world.put("virtualNetworks", "Blue", replace(blue.properties, logical_network=None))
    assert {key[0] for key in policy.network_stream(world.state, 60)} == {1, 2, 3}
    assert policy.record(world.state, BLUE, (4, PA1)) is None
    assert port(world, "host1", "blue1").provider_address == b""


def test_a_provider_address_is_found_in_a_provider_network_only():
    world = sample()
    plain = world.state.get("logicalNetworks", "hnvpa").properties
    world.put("logicalNetworks", "aaa", replace(plain, network_virtualization_enabled=False))
    assert policy.record(world.state, ("host", "host1"), (11, PA1)).logical_network == "/logicalNetworks/hnvpa"
    world.put("logicalNetworks", "hnvpa", replace(plain, network_virtualization_enabled=False))
    assert policy.record(world.state, ("host", "host1"), (11, PA1)) is None


def test_a_provider_subnet_without_a_prefix_keeps_nobody_from_its_policy():
    world = sample()
    logical = world.state.get("logicalNetworks", "hnvpa").properties
    vlan = Resource(resource_id="a-vlan", properties=LogicalSubnetProperties(vlan_id=5))
    told = policy.host_stream(world.state, "host1")
    for subnets in ((vlan, *logical.subnets), logical.subnets):
        world.taken()
        world.put("logicalNetworks", "hnvpa", replace(logical, subnets=subnets))
        assert touched(world) == set()
        assert policy.host_stream(world.state, "host1") == told


def test_a_hypervisors_own_name_of_a_machine_is_told():
    world = sample()
    world.change_machine("blue1", hypervisor=HypervisorIdentity(type="libvirt", id="8f3c"))
    assert machine(world, "host1", "blue1").hypervisor_id == "8f3c"


def test_a_move_in_its_phases():
    world = sample()
    world.server("host3", "192.168.1.30")

    def seen():
        ends = [(machine(world, host, "blue2"), port(world, host, "blue2")) for host in ("host2", "host3")]
        power = [one.power + (f" to {one.move_to}" if one.move_to else "") if one else None for one, _ in ends]
        forward = [one.forward_to if one else None for _, one in ends]
        return power, forward, lookup(world, 6001, "10.1.1.12").provider_address

    world.move("blue2", "host3", "preparing")
    assert seen() == (["Running", "Incoming"], [PA3, b""], PA2)
    assert policy.record(world.state, BLUE, (4, PA3)) == TunnelEndpoint(PA3, "host3", probed=False)
    assert policy.record(world.state, ("host", "host3"), (12, 60)) is not None
    assert machine(world, "host3", "blue2").generation == 7
    world.move("blue2", "host3", "switching")
    assert seen() == (["Running to host3", "Incoming"], [PA3, b""], PA2)
    world.move("blue2", "host3", "withdrawing")
    assert seen() == (["Incoming", "Incoming"], [PA3, b""], PA2)
    world.move("blue2", "host3", "switched")
    assert seen() == ([None, "Running"], [PA3, b""], PA3)
    world.move("blue2", "host3", "done")
    assert seen() == ([None, "Running"], [None, b""], PA3)


def test_a_move_that_failed_leaves_the_machine_where_it_was():
    world = sample()
    world.server("host3", "192.168.1.30")
    before = policy.host_stream(world.state, "host2"), policy.network_stream(world.state, 60)
    world.move("blue2", "host3", "preparing")
    world.move("blue2", "host3", "failed")
    assert (policy.host_stream(world.state, "host2"), policy.network_stream(world.state, 60)) == before
    assert machine(world, "host3", "blue2") is None
    assert policy.record(world.state, BLUE, (4, PA3)) is None


def test_a_host_is_told_what_to_send_from_into_a_peer_that_it_has_no_port_in():
    world = sample()
    world.network("green", 70, {"web": ("10.3.1.0/24", 7001)})
    world.interface("green1-eth0", 0x101010103301, ("/virtualNetworks/green/subnets/web", "10.3.1.11"))
    world.machine("green1", "host2", ["green1-eth0"], "Running")
    green = NeededNetwork(70, "/virtualNetworks/green", pack_ip("192.168.1.10"))
    assert policy.record(world.state, ("host", "host1"), green.key) is None
    world.peer("Blue", "green")
    world.peer("green", "Blue", allow_forwarded_traffic=True)
    assert policy.record(world.state, ("host", "host1"), green.key) == green
    assert policy.record(world.state, ("host", "host2"), green.key) == NeededNetwork(70, "/virtualNetworks/green")
    endpoints = [one for one in policy.network_stream(world.state, 70).values() if isinstance(one, TunnelEndpoint)]
    assert {one.provider_address for one in endpoints} == {pack_ip("192.168.1.10"), pack_ip("192.168.2.20")}
    blue = policy.network_stream(world.state, 60)
    assert blue[6, 70] == PeerNetwork(70, "/virtualNetworks/green", takes_forwarded=True)
    world.peer("green", "Blue", allow_virtual_network_access=False)
    assert (6, 70) not in policy.network_stream(world.state, 60)
    assert policy.record(world.state, ("host", "host1"), green.key) is None
