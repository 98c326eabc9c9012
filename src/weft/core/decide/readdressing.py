"""Provider addresses of a host that become others while machines are on it, as a stored state (make before break).

preparing -> switched -> done. What comes is held and told at once and used from `switched` on; what leaves is held
until `done`. control.readdressing takes it from phase to phase as hosts ack. Called by core.decide.servers and
core.decide.provider_addresses, and for AdvanceProviderAddresses by core.decide.
"""

from collections.abc import Iterable

import msgspec

from weft.core.commands import AdvanceProviderAddresses, Decision
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.holding import release
from weft.core.provider_places import told_addresses
from weft.core.state import State
from weft.model.errors import Conflict, Invalid, NotFound
from weft.model.fabric import ProviderAddressChange, ServerProperties
from weft.model.resources import Resource
from weft.model.values import ip_text

Server = Resource[ServerProperties]

PREPARING, SWITCHED, DONE = "preparing", "switched", "done"
_BEFORE = {SWITCHED: PREPARING, DONE: SWITCHED}


def is_used(state: State, server_id: str) -> bool:
    """May records name the addresses of this host? Then none of them may go before others know its successor."""
    gateways = state.uses.of(f"/servers/{server_id}", "gateways")
    return any(True for _ in state.machines_on(server_id)) or any(True for _ in gateways)


def changed(
    draft: Draft, ref: str, now: ProviderAddressChange | None, coming: Iterable[str], leaving: Iterable[str]
) -> ProviderAddressChange | None:
    """A host's change with more that comes and leaves; what both comes and leaves does neither. None: there is none.
    Raises Conflict where the present one has gone too far to take more in."""
    coming, leaving = set(coming), set(leaving)
    if not coming and not leaving:
        return now
    if now is not None and now.phase != PREPARING:
        raise Conflict(
            f"The provider addresses of {ref} are changing already ({', '.join(now.leaving) or 'none'} to "
            f"{', '.join(now.coming) or 'none'}): try again once that is over.",
            code="ProviderAddressesAreChanging",
            target="providerAddresses",
        )
    before = (set(now.coming), set(now.leaving)) if now is not None else (set(), set())
    comes, leaves = (before[0] - leaving) | (coming - before[1]), (before[1] - coming) | (leaving - before[0])
    if not comes and not leaves:
        return None
    generation = draft.state.revision + 1
    return ProviderAddressChange(PREPARING, tuple(sorted(comes)), tuple(sorted(leaves)), generation)


def without(change: ProviderAddressChange | None, gone: Iterable[str]) -> ProviderAddressChange | None:
    """A change that need not wait for addresses that are gone. It stays in its phase, if nothing is left to do too."""
    if change is None:
        return None
    left = set(gone)
    coming, leaving = ([one for one in texts if one not in left] for texts in (change.coming, change.leaving))
    return msgspec.structs.replace(change, coming=tuple(coming), leaving=tuple(leaving))


def advance(draft: Draft, command: AdvanceProviderAddresses) -> Decision:
    """Take a change one phase on; the phase it has is answered unchanged. Raises NotFound, Conflict, Invalid."""
    server: Server | None = draft.state.get("servers", command.server)
    if server is None:
        raise NotFound(f"There is no server '{command.server}'.", target=f"/servers/{command.server}")
    change, ref = server.properties.provider_address_change, f"/servers/{server.resource_id}"
    if change is None or change.generation != command.generation:
        raise Conflict(
            f"Change {command.generation} of the provider addresses of {ref} is over.",
            code="ProviderAddressChangeIsOver",
            target=ref,
        )
    if command.phase == change.phase:
        return Decision((), "unchanged", server)
    if _BEFORE.get(command.phase) != change.phase:
        raise Invalid(f"A change of provider addresses that is {change.phase} does not become '{command.phase}'.")
    after = msgspec.structs.replace(change, phase=command.phase)
    if command.phase == DONE:
        give_up(draft, ref, set(change.leaving))
    put = with_change(draft, server, after if command.phase != DONE else None)
    return Decision(draft.changes(), "done", put)


def give_up(draft: Draft, ref: str, texts: set[str]) -> None:
    """These addresses are the host's no more, and cool down."""
    for scope, address, _ in list(told_addresses(draft.state, ref.rpartition("/")[2])):
        if ip_text(address) in texts:
            release(draft, scope, int.from_bytes(address), ref, "another provider address has taken its place")


def with_change(draft: Draft, server: Server, change: ProviderAddressChange | None) -> Server:
    """Put a server with another change of its addresses."""
    properties = msgspec.structs.replace(server.properties, provider_address_change=change)
    after = msgspec.structs.replace(server, etag=new_etag(draft.new_id), properties=properties)
    draft.put("servers", server.resource_id.lower(), server, after)
    return after
