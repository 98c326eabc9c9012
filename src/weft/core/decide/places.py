"""Where an interface stands in the ledger: the (scope, address) of all that it holds.

Called by the families of core.decide that follow interfaces about.
"""

from weft.core.copy_commands import Restored
from weft.core.decide.ip_configurations import Interface, Place, addresses_of
from weft.core.index import lower
from weft.core.state import State
from weft.core.words import address_text
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
        segment = state.segment(lower(configuration.properties.subnet))
        assert segment is not None
        return segment.domain
    return ""


def restored(state: State, before: Interface | None, after: Interface | None, outcome: str) -> Restored:
    """What became of one interface, there before or after or both."""
    one = after or before
    assert one is not None
    ref = f"/networkInterfaces/{one.resource_id}"
    return Restored(ref, _text(state, before), _text(state, after), outcome)


def _text(state: State, interface: Interface | None) -> str:
    if interface is None:
        return ""
    return " ".join(address_text(*place) for place in places_of(state, interface))
