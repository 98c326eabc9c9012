"""What a host is told of addresses that the guest of a port brings: what it may bring, and what it has.

Called by policy_host and policy_touched. A pure reading of one interface and its network.
"""

from weft.core.index import lower
from weft.core.policy_places import Interface, Subnet, has_mac, instance_of, learnt_seats, packed_prefix, port_seats
from weft.core.state import State
from weft.model.records import PortLearning
from weft.model.tenancy import GuestSpecifiedAddresses


def port_learning(state: State, interface: Interface) -> PortLearning | None:
    """None where its guest may bring none and has none, or there is no port."""
    places = port_seats(state, interface) if has_mac(interface) else ()
    if not places:
        return None
    named = {seat.subnet.resource_id for seat in places}
    subnets = [
        one for one in places[0].network.properties.subnets if one.properties.virtual_subnet_id == places[0].vsid
    ]
    allowing = [one for one in subnets if told_of(one).enabled and may_be_beside(one, one.resource_id in named)]
    learnt = tuple(sorted((seat.address for seat in learnt_seats(state, interface)), key=lambda one: (len(one), one)))
    if not allowing and not learnt:
        return None
    ages = [told_of(one).age_seconds for one in allowing]
    prefixes = tuple(sorted(packed_prefix(one.properties.address_prefix) for one in allowing))
    own = instance_of(interface)
    return PortLearning(own, prefixes, learnt, min(ages, default=PortLearning(own).age_seconds))


def may_be_beside(subnet: Subnet, named: bool) -> bool:
    """May an interface have addresses of this subnet, which an ipConfiguration of it names or which is the partner of
    that one? Not of a partner with an access list: a port is under the lists that its ipConfigurations lead to."""
    return named or not lower(subnet.properties.access_control_list)


def told_of(subnet: Subnet) -> GuestSpecifiedAddresses:
    """What of a subnet the ports in it are told here."""
    return subnet.properties.guest_specified_addresses
