"""The structs' members bear the specification's names; what is ours is listed here, so that nothing slips in."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weft.model import fabric, gateways, resources, tenancy, workload

NAMES = json.loads((Path(__file__).parent / "names.json").read_text())

STRUCTS: dict[str, Any] = {
    "resourceMetadata": resources.ResourceMetadata,
    "macPools": fabric.MacPoolProperties,
    "logicalNetworks": fabric.LogicalNetworkProperties,
    "logicalNetworks/subnets": fabric.LogicalSubnetProperties,
    "logicalNetworks/subnets/ipPools": fabric.IpPoolProperties,
    "logicalNetworks/subnets/routes": fabric.LogicalRouteProperties,
    "servers": fabric.ServerProperties,
    "servers.connections": fabric.ServerConnection,
    "servers/networkInterfaces": fabric.ServerInterfaceProperties,
    "servers/networkInterfaces.ipConfiguration": fabric.ServerIpConfiguration,
    "virtualNetworks": tenancy.VirtualNetworkProperties,
    "virtualNetworks.addressSpace": tenancy.AddressSpace,
    "virtualNetworks.dhcpOptions": tenancy.DhcpOptions,
    "virtualNetworks/subnets": tenancy.VirtualSubnetProperties,
    "virtualNetworks/virtualNetworkPeerings": tenancy.VirtualNetworkPeeringProperties,
    "accessControlLists": tenancy.AccessControlListProperties,
    "accessControlLists/aclRules": tenancy.AclRuleProperties,
    "routeTables": tenancy.RouteTableProperties,
    "routeTables/routes": tenancy.RouteProperties,
    "networkInterfaces": workload.NetworkInterfaceProperties,
    "networkInterfaces.dnsSettings": workload.DnsSettings,
    "networkInterfaces.portSettings": workload.PortSettings,
    "networkInterfaces.portSettings.qosSettings": workload.QosSettings,
    "networkInterfaces/ipConfigurations": workload.IpConfigurationProperties,
    "publicIPAddresses": gateways.PublicIpAddressProperties,
    "gatewayPools": gateways.GatewayPoolProperties,
    "gatewayPools.ipConfiguration": gateways.GatewayPoolIpConfiguration,
    "gateways": gateways.GatewayProperties,
    "virtualGateways": gateways.VirtualGatewayProperties,
    "virtualGateways/networkConnections": gateways.NetworkConnectionProperties,
    "virtualGateways/networkConnections.greConfiguration": gateways.GreConfiguration,
    "virtualGateways/networkConnections.l3Configuration": gateways.L3Configuration,
    "virtualGateways/networkConnections.ipAddresses": gateways.ConnectionAddress,
    "virtualGateways/networkConnections.routes": gateways.ConnectionRoute,
    "virtualNetworkManager": fabric.VirtualNetworkManagerProperties,
    "virtualNetworkManager.virtualSubnetIdRange": fabric.VirtualSubnetIdRange,
}

EXTENSIONS = {
    "macPools": {
        "coolDownSeconds",
        "excluded",
        "strategy",
        "warnAtPercent",
        "drain",
        "tenantId",
        "hostGroup",
        "releaseInactiveAfterSeconds",
    },
    "logicalNetworks/subnets/ipPools": {"coolDownSeconds", "excluded", "warnAtPercent", "drain"},
    "networkInterfaces": {"strategy", "reservation", "learnedIPAddresses"},
    "servers": {
        "providerAddresses",
        "providerAddressPolicy",
        "providerAddressCount",
        "providerAddressChange",
        "primaryProviderAddresses",
        "hostGroup",
        "addressPlan",
        "clusterNumber",
        "macRange",
        "dynamicMacRange",
        "wantedDynamicMacRange",
        "twinPolicy",
        "adoption",
        "blankCheckpoints",
        "providerNetwork",
    },
    "logicalNetworks": {"providerAddressPolicy", "providerAddressCount"},
    "gateways": {"server"},
    "virtualGateways": {"nat", "gateways", "gatewayMacAddress", "gatewayAddresses"},
    "virtualNetworks": {"routingDomainNumber", "networkVirtualizationProtocol"},
    "virtualNetworks.dhcpOptions": {"leaseSeconds"},
    "virtualNetworks/subnets": {"coolDownSeconds", "excluded", "warnAtPercent", "guestSpecifiedAddresses"},
    "virtualNetworks/virtualNetworkPeerings": {"remoteInstanceId", "matched"},
    "accessControlLists": {"listNumber"},
}
"""Members of ours. routingDomainNumber, listNumber, remoteInstanceId and matched are stored and never answered."""


@pytest.mark.parametrize("place", STRUCTS)
def test_members_bear_the_specification_names(place: str) -> None:
    written = {field.encode_name for field in msgspec.structs.fields(STRUCTS[place])}
    assert written - set(NAMES[place]) == EXTENSIONS.get(place, set())


def test_the_envelope_bears_the_specification_names() -> None:
    written = {field.encode_name for field in msgspec.structs.fields(resources.Resource)}
    assert written <= set(NAMES["envelope"])
