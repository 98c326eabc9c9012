"""Where an interface stands in the ledger: the (scope, address) of all that it holds.

Called by the families of core.decide that follow interfaces about.
"""

from weft.core.decide.ip_configurations import Interface, Place, addresses_of
from weft.core.state import State
from weft.model.leases import MAC_SCOPE
from weft.model.values import Mac


def mac_of(interface: Interface) -> Mac | None:
    """The MAC address of a stored interface; None while it waits for the range of the host it will be bound to."""
    digits = interface.properties.private_mac_address
    return Mac(int(digits, 16)) if digits else None


def places_of(state: State, interface: Interface) -> list[Place]:
    """Its MAC address, if it has one, then its IP addresses."""
    places: list[Place] = list(addresses_of(state, interface))
    mac = mac_of(interface)
    return places if mac is None else [(MAC_SCOPE, mac), *places]


def domain_of(state: State, interface: Interface) -> str:
    """The L2 domain that its ipConfigurations share; empty without any."""
    for configuration in interface.properties.ip_configurations:
        subnet = configuration.properties.subnet
        segment = state.segment(subnet.resource_ref) if subnet is not None else None
        if segment is not None:
            return segment.domain
    return ""
