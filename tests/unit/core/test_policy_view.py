"""A host's policy as the API shows it: pure, from the records."""

import pytest

from tests.cluster.world import World, instance, sample
from weft.core import policy
from weft.model.errors import NotFound


def test_the_view_shows_gateway_and_machine_of_every_subnet_as_the_cmdlets_do():
    world = World()
    world.fabric(pa="10.10.10.0/24")
    world.server("host1", "10.10.10.9")
    world.network("tenant", 5, {"web": ("10.0.0.0/24", 16412478)})
    world.interface("vm-eth0", 0x001DD8B71C00, ("/virtualNetworks/tenant/subnets/web", "10.0.0.2"))
    world.machine("vm", "host1", ["vm-eth0"], "Running")
    seen = policy.view(world.state, "HOST1")
    assert [one["providerAddress"] for one in seen["providerAddresses"]] == ["10.10.10.9"]
    assert seen["providerRoutes"] == [{"destinationPrefix": "0.0.0.0/0", "nextHop": "10.10.10.1", "metric": 0}]
    world.ways("pa", ("10.9.0.0/16", "10.10.10.2"))
    assert policy.view(world.state, "HOST1")["providerRoutes"] == [
        *seen["providerRoutes"],
        {"destinationPrefix": "10.9.0.0/16", "nextHop": "10.10.10.2", "metric": 0},
    ]
    gateway, machine_record = seen["lookupRecords"]
    assert gateway == {
        "customerAddress": "10.0.0.1",
        "virtualSubnetId": 16412478,
        "macAddress": "025745465401",
        "providerAddress": "169.254.254.254",
        "rule": "TranslationMethodEncap",
        "type": "Static",
        "vmName": "web-DG",
        "context": "weft:tenant gateway",
    }
    assert machine_record["macAddress"] == "001DD8B71C00"
    assert (machine_record["customerAddress"], machine_record["providerAddress"]) == ("10.0.0.2", "10.10.10.9")
    assert (machine_record["vmName"], machine_record["context"]) == ("vm", "weft:tenant")
    assert machine_record["networkInterface"] == "/networkInterfaces/vm-eth0"
    assert seen["customerRoutes"] == [
        {
            "routingDomainId": "{" + instance("virtualNetworks/tenant") + "}",
            "virtualSubnetId": 16412478,
            "destinationPrefix": "10.0.0.0/24",
            "nextHop": "0.0.0.0",
            "metric": 255,
        }
    ]
    assert seen["ports"] == [
        {
            "networkInterface": "/networkInterfaces/vm-eth0",
            "instanceId": instance("networkInterfaces/vm-eth0"),
            "virtualSubnetId": 16412478,
            "macAddress": "001DD8B71C00",
            "ipAddresses": ["10.0.0.2"],
            "virtualMachine": "/weft/virtualMachines/vm",
        }
    ]


def test_the_view_holds_only_networks_that_the_host_needs_and_refuses_unknown_hosts():
    world = sample()
    world.power("red2", "Off")
    world.machine("red2", "", ["red2-eth0"])
    assert {one["virtualSubnetId"] for one in policy.view(world.state, "host2")["lookupRecords"]} == {6001, 6002}
    with pytest.raises(NotFound):
        policy.view(world.state, "nowhere")


def test_the_view_shows_what_route_tables_add():
    world = sample()
    world.table("hub", far=("203.0.113.0/24", "VirtualAppliance", "10.1.2.21"), nowhere=("198.51.100.0/24", "None", ""))
    world.network("Blue", 60, {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002)}, {"web": "hub"})
    shown = [tuple(one.values()) for one in policy.view(world.state, "host1")["userRoutes"]]
    assert shown == [
        (6001, "203.0.113.0/24", "VirtualAppliance", "10.1.2.21", "/routeTables/hub/routes/far"),
        (6001, "198.51.100.0/24", "None", None, "/routeTables/hub/routes/nowhere"),
    ]
