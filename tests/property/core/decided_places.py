"""Which provider addresses of hnvpa a host must have, by walking over all that is on it."""

from ipaddress import IPv4Address

from weft.core.addresses import holder_of
from weft.core.provider_places import SUBNETS, policy_of
from weft.core.words import number_text
from weft.model.leases import ip_scope

SCOPE = ip_scope("/logicalNetworks/hnvpa", 4)


def provided(state, host):
    """The virtual subnets that a host holds a provider address of hnvpa for and is to keep."""
    server = state.get("servers", host)
    change = server.properties.provider_address_change if server is not None else None
    leaving = change.leaving if change is not None else ()
    every = state.addresses.providers.get(f"/servers/{host.lower()}", {}).get(SCOPE, {})
    held = ((number_text(4, address), why) for address, why in every.items())
    return {why for text, why in held if why.startswith(SUBNETS) and text not in leaving}


def present(state, host):
    """The virtual subnets with an interface on a host that has an address for each, by walking over all of them."""
    server = state.get("servers", host)
    found = set()
    for machine in state.machines_on(host) if server is not None else ():
        for interface in machine.properties.network_interfaces:
            for one in state.find_ref(interface.resource_ref).properties.ip_configurations:
                segment = state.segment(one.properties.subnet.resource_ref.lower())
                if segment.network == "/virtualnetworks/thin":
                    continue
                logical = state.get("logicalNetworks", "hnvpa").properties
                if segment.virtual and policy_of(server.properties, logical)[0] == "perVirtualSubnet":
                    found.add(segment.domain)
    return found


def has_its_own(state, host):
    """Whether a host has an address for itself as its policy says, by walking over all that is on it."""
    server = state.get("servers", host)
    if server is None:
        return True
    policy, _ = policy_of(server.properties, state.get("logicalNetworks", "hnvpa").properties)
    listed = [one for one in server.properties.provider_addresses if one.startswith("192.168.")]
    holders = [holder_of(state.lease(SCOPE, int(IPv4Address(one))), "server") for one in listed]
    assert all(one.ref == f"/servers/{server.resource_id}" and not one.domain for one in holders)
    if policy != "perHostInUse" or in_a_network(state, host):
        return bool(listed)
    return not any(one.granted for one in holders)


def in_a_network(state, host):
    """That hnvpa carries: as a gateway, or by an interface."""
    interfaces = (one for machine in state.machines_on(host) for one in machine.properties.network_interfaces)
    places = (c.properties for one in interfaces for c in state.find_ref(one.resource_ref).properties.ip_configurations)
    used = any(state.uses.of(f"/servers/{host}", "gateways"))
    return used or any("/thin/" not in one.subnet.resource_ref.lower() for one in places)
