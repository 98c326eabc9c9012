"""Gateways, ways out and what is outside, put into a World."""

import ipaddress

from msgspec.structs import replace

from tests.cluster.world import instance
from weft.model import fabric, gateways
from weft.model.resources import Ref, Resource


def outside(world, name, prefix, vlan=0, public=True):
    """A logical network of one subnet `out`, whose gateway is its first address."""
    net = ipaddress.ip_network(prefix)
    pools = (
        Resource(
            resource_id="p",
            instance_id=instance(f"{name}/p"),
            properties=fabric.IpPoolProperties(start_ip_address=str(net[10]), end_ip_address=str(net[50])),
        ),
    )
    properties = fabric.LogicalSubnetProperties(
        address_prefix=prefix,
        vlan_id=vlan,
        default_gateways=(str(net[1]),),
        is_public=public,
        ip_pools=pools,
    )
    subnet = Resource(resource_id="out", instance_id=instance(f"{name}/out"), properties=properties)
    world.put("logicalNetworks", name, fabric.LogicalNetworkProperties(subnets=(subnet,)))


def public_address(world, name, text):
    world.put("publicIPAddresses", name, gateways.PublicIpAddressProperties(ip_address=text))


def make_known(world, interface, public):
    """The first address of an interface is known outside as this publicIPAddress; None: as none."""
    old = world.state.get("networkInterfaces", interface)
    first, *others = old.properties.ip_configurations
    ref = Ref(f"/publicIPAddresses/{public}") if public else None
    changed = replace(first, properties=replace(first.properties, public_ip_address=ref))
    world.put("networkInterfaces", interface, replace(old.properties, ip_configurations=(changed, *others)))


def gateway(world, name, server):
    properties = gateways.GatewayProperties(pool=Ref("/gatewayPools/gp"), server=Ref(f"/servers/{server}"))
    world.put("gateways", name, properties)


def pool(world, name, vips):
    """A gateway pool whose GRE connections end at addresses of these logical subnets."""
    own = gateways.GatewayPoolIpConfiguration(gre_vip_subnets=tuple(map(Ref, vips)))
    world.put("gatewayPools", name, gateways.GatewayPoolProperties(type="All", ip_configuration=own))


def leg(name, subnet, addresses, routes=()):
    """An L3 connection into a logical subnet, with these addresses there and routes: (prefix, next hop, metric)."""
    return _connection(
        name,
        "L3",
        addresses,
        routes,
        l3_configuration=gateways.L3Configuration(vlan_subnet=Ref(subnet)),
    )


def tunnel(name, ends, key, addresses, routes=()):
    """A GRE connection between two ends, with these addresses (with prefix length) inside and routes as those of a leg,
    whose next hop is empty."""
    near, far = ends
    return _connection(
        name,
        "GRE",
        addresses,
        routes,
        source_ip_address=near,
        destination_ip_address=far,
        gre_configuration=gateways.GreConfiguration(gre_key=key) if key else None,
    )


def _connection(name, kind, addresses, routes, **more):
    own = (ipaddress.ip_interface(one) for one in addresses)
    return Resource(
        resource_id=name,
        properties=gateways.NetworkConnectionProperties(
            connection_type=kind,
            ip_addresses=tuple(gateways.ConnectionAddress(str(one.ip), one.network.prefixlen) for one in own),
            routes=tuple(gateways.ConnectionRoute(prefix, hop or None, metric) for prefix, hop, metric in routes),
            **more,
        ),
    )


def way_out(world, network, subnet, address, carriers, nat="", connections=(), also=()):
    """The virtual gateway of a network, of the same name. `also`: (subnet, address) of the other half of a pair."""
    places = ((subnet, address), also) if also else ((subnet, address),)
    world.put(
        "virtualGateways",
        network,
        gateways.VirtualGatewayProperties(
            gateway_pools=(Ref("/gatewayPools/gp"),),
            gateway_subnets=tuple(Ref(f"/virtualNetworks/{network}/subnets/{one}") for one, _ in places),
            network_connections=connections,
            nat=gateways.Nat(enabled=bool(nat), public_ip_address=Ref(f"/publicIPAddresses/{nat}") if nat else None),
            gateways=tuple(Ref(f"/gateways/{one}") for one in carriers),
            gateway_mac_address=f"{0x101010109900 + len(network):012X}",
            gateway_addresses=tuple(one for _, one in places),
        ),
    )
