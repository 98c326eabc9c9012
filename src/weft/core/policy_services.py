"""What agents tell guests: DNS servers, leases, names, and which address DHCP gives. Pure.

Called by policy_network and policy_host, which put it into their streams, and by policy_touched.
"""

import re

from weft.core.policy_places import Interface, Network, Subnet, has_mac, instance_of, packed_prefix, port_seats
from weft.core.state import State
from weft.model.records import PortService, SubnetOptions
from weft.model.values import PackedIp, Vsid, pack_ip

SHORTEST_LEASE_S = 60
"""Also where addresses do not cool down at all."""
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""What DHCP may call a guest (RFC 1123 section 2.1)."""


def subnet_options(network: Network, subnet: Subnet) -> SubnetOptions | None:
    """What its guests are told; None where that is the default. A guest's address may be another's once it has cooled
    down, so it is lent for half as long: from the half of that on the guest asks again."""
    vsid, prefix = Vsid(subnet.properties.virtual_subnet_id), packed_prefix(subnet.properties.address_prefix)[0]
    given = network.properties.dhcp_options
    seconds = max(SHORTEST_LEASE_S, min(given.lease_seconds, subnet.properties.cool_down_seconds // 2))
    servers = tuple(pack_ip(text) for text in given.dns_servers)
    made = SubnetOptions(vsid, prefix, servers, seconds)
    return made if made != SubnetOptions(vsid, prefix) else None


def port_service(state: State, interface: Interface) -> PortService | None:
    """What its guest is told otherwise than others of its subnet; None where nothing is, or it has no port."""
    places = port_seats(state, interface) if has_mac(interface) else ()
    if not places:
        return None
    p = interface.properties
    label = (p.internal_dns_name_label or "").partition(".")[0]
    given = p.dns_settings.dns_servers if p.dns_settings is not None else ()
    made = PortService(
        instance_of(interface),
        tuple(pack_ip(text) for text in given),
        label if _LABEL.fullmatch(label) else "",
        _primary(interface, tuple(seat.address for seat in places)),
    )
    return made if made != PortService(made.instance_id) else None


def _primary(interface: Interface, addresses: tuple[PackedIp, ...]) -> tuple[PackedIp, ...]:
    """The addresses marked as primary, where another one of their family stands before them."""
    marked = {
        pack_ip(one.properties.private_ip_address)
        for one in interface.properties.ip_configurations
        if one.properties.is_primary and one.properties.private_ip_address
    }
    found: dict[int, PackedIp] = {}
    for address in addresses:
        if address in marked:
            found.setdefault(len(address), address)
    first = {len(address): address for address in reversed(addresses)}
    return tuple(one for size, one in sorted(found.items()) if first[size] != one)


def told_to_all(network: Network, subnet: Subnet) -> object:
    """What subnet_options are made of."""
    return network.properties.dhcp_options, subnet.properties.cool_down_seconds


def told_to_one(interface: Interface | None) -> object:
    """What port_service and port_limits are made of, but for the addresses."""
    if interface is None:
        return ()
    p = interface.properties
    return (
        p.port_settings,
        p.dns_settings,
        p.internal_dns_name_label,
        tuple(one.properties.is_primary for one in p.ip_configurations),
    )
