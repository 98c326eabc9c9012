"""IP rewrite (HNV's TranslationMethodNat): which provider address stands for which customer address on a host.

Called by core.decide, which grants them, and by core.policy_network, which tells hosts. Pure. Each ipConfiguration in
a network with protocol Rewrite has a provider address of its own on each host that its machine is on, or comes to; the
ledger names it as what the address is for.
"""

from weft.core.state import State
from weft.model.leases import ip_scope
from weft.model.tenancy import VirtualNetworkProperties
from weft.model.values import PackedIp

REWRITE = "Rewrite"
_INTERFACES = "/networkinterfaces/"


def is_rewriting(p: VirtualNetworkProperties) -> bool:
    return p.network_virtualization_protocol == REWRITE


def purpose_of(interface_id: str, configuration_id: str) -> str:
    """What such a provider address is for, as the ledger has it."""
    return f"/networkinterfaces/{interface_id}/ipconfigurations/{configuration_id}".lower()


def interface_of(purpose: str) -> str:
    """Id of the interface that a provider address stands for; empty for one with another purpose."""
    return purpose.removeprefix(_INTERFACES).partition("/")[0] if purpose.startswith(_INTERFACES) else ""


def stands_for(state: State, server_id: str, logical_network: str, purpose: str, version: int) -> PackedIp | None:
    """The provider address of an ipConfiguration on a server; one look-up, however many that server has."""
    place = f"/servers/{server_id.lower()}", ip_scope(logical_network, version), purpose
    held = state.addresses.providing.get(place)
    return PackedIp(min(held).to_bytes(4 if version == 4 else 16)) if held else None
