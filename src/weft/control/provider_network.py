"""What hosts tell of their places on the provider network: as a part of their records, and as conflicts.

Called by observations.py, and by controller.py at each question for conflicts; that costs by the hosts whose agents are
connected. A host whose agent has gone says nothing.
"""

from collections.abc import Iterable, Iterator

from weft.control.session import Session
from weft.core.conflicts import FOREIGN, Conflict
from weft.core.notable import present
from weft.core.state import State
from weft.model.errors import InvalidMacAddress
from weft.model.fabric import ProviderAdapter, ServerProviderNetwork, TunnelEncryption
from weft.model.kinds import SERVERS
from weft.model.leases import MAC_SCOPE
from weft.model.values import ip_text, parse_mac
from weft.wire.messages import HolderFact, ProviderFacts


def provider_conflicts(state: State, sessions: Iterable[Session]) -> Iterator[Conflict]:
    """Provider addresses that another machine has too."""
    for session in sessions:
        told = session.facts.provider
        server = state.get(SERVERS.name, session.server)
        if told is not None and server is not None:
            yield from (_doubled(state, server.resource_id, one) for one in told.holders)


def noted(told: ProviderFacts | None) -> ServerProviderNetwork | None:
    """What of it becomes a part of the server's record."""
    if told is None:
        return None
    adapters = tuple(
        ProviderAdapter(
            provider_address=ip_text(one.provider_address),
            name=one.name,
            mtu=one.mtu,
            uplinks=one.uplinks,
            offloads=one.offloads,
        )
        for one in told.adapters
    )
    encryption = TunnelEncryption(available=not told.no_encryption, reason=told.no_encryption)
    return ServerProviderNetwork(adapters=adapters, tunnel_encryption=encryption)


def _doubled(state: State, server: str, told: HolderFact) -> Conflict:
    address = ip_text(told.provider_address)
    outcome = "goes on using it" if told.used else "uses it for nothing"
    who = _known(state, told.mac)
    return Conflict(
        kind=FOREIGN,
        address=address,
        l2_domain="",
        holders=(f"/servers/{server}", who or f"/servers/{server}/neighbours/{told.mac.replace(' ', '-')}"),
        remedy=f"{told.mac}{f' ({who})' if who else ''} on the provider network answers for the provider address of "
        f"{server}, which {outcome}: take {address} from there, or give {server} another.",
        command="",
    )


def _known(state: State, mac: str) -> str:
    """What of ours has this MAC address; empty if nothing has."""
    try:
        lease = state.lease(MAC_SCOPE, parse_mac(mac))
    except InvalidMacAddress:
        return ""
    return next((one.ref for one in present(lease) if one.kind != "port"), "")
