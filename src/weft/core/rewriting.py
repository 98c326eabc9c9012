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


def is_rewriting(p: VirtualNetworkProperties) -> bool:
    return p.network_virtualization_protocol == REWRITE


def purpose_of(interface_id: str, configuration_id: str) -> str:
    """What such a provider address is for, as the ledger has it."""
    return f"/networkinterfaces/{interface_id}/ipconfigurations/{configuration_id}".lower()


def stands_for(state: State, server_id: str, logical_network: str, purpose: str, version: int) -> PackedIp | None:
    """The provider address of an ipConfiguration on a server; costs by the provider addresses of that server."""
    scopes = state.addresses.providers.get(f"/servers/{server_id.lower()}", {})
    for address, why in scopes.get(ip_scope(logical_network, version), {}).items():
        if why == purpose:
            return PackedIp(address.to_bytes(4 if version == 4 else 16))  # noqa: PLR2004 - IPv4
    return None
