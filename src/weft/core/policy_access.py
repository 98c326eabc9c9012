"""What a host is told of access lists: those that its ports are under, and which port is under which.

Called by core.policy_host, policy_touched and trace. Pure reads of the state. A list is found on a host by counts that
the index keeps, so that no question walks the interfaces of a subnet.
"""

from collections.abc import Iterable, Iterator

from weft.core.filters import port_range, prefix_or_tag
from weft.core.index import last_id, lower
from weft.core.policy_places import (
    INTERFACES,
    Interface,
    Seat,
    Subnet,
    VirtualMachine,
    has_mac,
    instance_of,
    known,
    packed_prefix,
    port_seats,
)
from weft.core.policy_segments import stands
from weft.core.state import State
from weft.model.leases import LIST_SCOPE
from weft.model.records import AccessList, AccessRule, PackedPrefix, PortAccess
from weft.model.resources import Ref, Resource
from weft.model.tenancy import AccessControlListProperties, AclRuleProperties
from weft.model.values import PackedIp

AccessControlList = Resource[AccessControlListProperties]
LISTS = "accessControlLists"
ANY = PackedIp(bytes(4))
"""Stands for the addresses of a port whose addresses are the guest's own affair."""
PERMIT, ALLOW, INBOUND = "Permit", "Allow", "Inbound"


def list_ref(found: AccessControlList) -> str:
    return f"/{LISTS}/{found.resource_id}"


def list_named(state: State, ref: Ref | None) -> AccessControlList | None:
    found: AccessControlList | None = state.get(LISTS, last_id(ref)) if ref is not None else None
    return found


def list_of_number(state: State, number: int) -> AccessControlList | None:
    lease = state.lease(LIST_SCOPE, number)
    for holder in lease.holders if lease is not None else ():
        found: AccessControlList | None = state.get(LISTS, holder.ref.rpartition("/")[2])
        if found is not None and found.properties.list_number == number:
            return found
    return None


def access_list(found: AccessControlList) -> AccessList:
    """The list as hosts read it."""
    p = found.properties
    rules = sorted((_rule(one) for one in p.acl_rules), key=lambda rule: rule.priority)
    allow = (p.inbound_default_action == PERMIT, p.outbound_default_action == PERMIT)
    return AccessList(p.list_number, list_ref(found), *allow, tuple(rules))


def _rule(rule: Resource[AclRuleProperties]) -> AccessRule:
    p = rule.properties
    return AccessRule(
        name=rule.resource_id,
        priority=p.priority,
        inbound=p.type == INBOUND,
        allow=p.action == ALLOW,
        protocol=p.protocol,
        source=_scope(p.source_address_prefix),
        source_ports=port_range(p.source_port_range),
        destination=_scope(p.destination_address_prefix),
        destination_ports=port_range(p.destination_port_range),
        logging=p.logging == "Enabled",
    )


def _scope(text: str) -> PackedPrefix | str:
    found = prefix_or_tag(text)
    return found if isinstance(found, str) else packed_prefix(text)


Pair = tuple[AccessControlList | None, AccessControlList | None]
"""An ipConfiguration's own list, and that of its subnet if it is another."""


def pair_of(state: State, seat: Seat) -> Pair:
    own = list_named(state, seat.access_control_list)
    subnet = list_named(state, seat.subnet.properties.access_control_list)
    return own, subnet if subnet is not own else None


def _pairs(state: State, interface: Interface) -> list[tuple[PackedIp, Pair]]:
    """Of each address that its port serves, in the order of its ipConfigurations."""
    found: list[tuple[PackedIp, Pair]] = [(seat.address, pair_of(state, seat)) for seat in port_seats(state, interface)]
    for stand in stands(state, interface) if not found else ():
        found.append((stand.address or ANY, (list_named(state, stand.access_control_list), None)))
    return found


def pair_for(state: State, interface: Interface, address: PackedIp) -> Pair:
    """What a packet from or for an address is under: as its port has it, or its first address of the same family."""
    found = _pairs(state, interface)
    kin = [one for one in found if len(one[0]) == len(address)] or found
    exact = next((pair for own, pair in found if own == address), None)
    return exact or (kin[0][1] if kin else (None, None))


def port_access(state: State, interface: Interface) -> PortAccess | None:
    """None for a port that is under no list, or that is none."""
    if not has_mac(interface):
        return None
    found = tuple((address, _number(own), _number(subnet)) for address, (own, subnet) in _pairs(state, interface))
    if not any(own or subnet for _, own, subnet in found):
        return None
    return PortAccess(instance_of(interface), found)


def _number(found: AccessControlList | None) -> int:
    return found.properties.list_number if found is not None else 0


def lists_on(state: State, machines: Iterable[VirtualMachine]) -> Iterator[AccessList]:
    """The lists that the ports of these machines are under."""
    refs: set[str] = set()
    for machine in machines:
        for ref in machine.properties.network_interfaces:
            refs |= refs_of(state, known(state, INTERFACES, last_id(ref)))
    for named in refs:
        found = list_named(state, Ref(named))
        if found is not None:
            yield access_list(found)


def list_on(state: State, server_id: str, number: int) -> AccessList | None:
    """The list of this number, if a port of this server is under it."""
    found = list_of_number(state, number)
    if found is None or not state.has_port_with_list(server_id, list_ref(found)):
        return None
    return access_list(found)


def refs_of(state: State, interface: Interface) -> set[str]:
    """References, lower case, of the lists that its ipConfigurations and their virtual subnets name."""
    found = set()
    for configuration in interface.properties.ip_configurations:
        found.add(lower(configuration.properties.access_control_list))
        where = configuration.properties.subnet
        subnet: Subnet | None = state.find_ref(where.resource_ref) if where is not None else None
        found.add(lower(getattr(subnet.properties, "access_control_list", None)) if subnet is not None else "")
    return found - {""}
