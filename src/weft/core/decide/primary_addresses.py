"""Another policy: which of its own provider addresses a host goes on with, if another machine has one of them.

Called by core.decide.provider_addresses after every command that changes a host or its provider network. An address
that another machine has never takes a place (docs/decisions/0073): where a policy leaves a host with one of several of
its own, that is the lowest that nobody else has, and stands as its primary one; where a virtual subnet on the host
would come to one that is another's, though what it goes by now is not, the command is refused. Where it goes by such a
one already nothing is made worse, and the host itself says why it has no tunnels.
"""

from collections.abc import Iterable, Iterator

import msgspec

from weft.core import provider_places
from weft.core.decide.draft import Draft
from weft.core.decide.in_use import lies_in
from weft.core.decide.own_addresses import LOGICAL, Server, policy_of, put_server
from weft.core.decide.readdressing import PREPARING, SWITCHED
from weft.core.index import lower
from weft.core.policy_places import subnet_of
from weft.core.pools import Segment
from weft.core.provider_places import falls_to, own_texts, primary_first, provider_address
from weft.core.rewriting import is_rewriting
from weft.model.errors import NotReady
from weft.model.fabric import SEVERAL
from weft.model.values import PackedIp, Vsid, ip_text, pack_ip


def settle_primary(draft: Draft, server_id: str, on_it: list[Segment]) -> None:
    """`on_it`: the virtual subnets with an interface on the host. Raises NotReady."""
    decided: Server | None = draft.get("servers", server_id)
    before: Server | None = draft.state.get("servers", server_id)
    if decided is None or before is None:
        return
    server = decided
    if not draft.taken_on(server_id) and not server.properties.primary_provider_addresses:
        return
    scopes = draft.state.addresses.providers.get(f"/servers/{server_id}", {})
    for network in sorted({scope[3:] for scope in scopes}):
        server = _with_primary(draft, (before, server), network)
    held = own_texts(server)
    primary = tuple(one for one in server.properties.primary_provider_addresses if one in held)
    server = _primary_of(server, primary)
    if server != decided:
        put_server(draft, decided, server.properties)
    for segment in on_it:
        _check(draft, (before, server), segment)


def _with_primary(draft: Draft, sides: tuple[Server, Server], network: str) -> Server:
    """The host, with its primary address in a provider network as it is to be by its policy there."""
    before, server = sides
    policy, _ = policy_of(draft, server.properties, network)
    if policy == _policy_before(draft, before, network):
        return server
    ref = f"/servers/{server.resource_id}"
    primary = server.properties.primary_provider_addresses
    others = tuple(one for one in primary if not lies_in(draft, ref, one, network))
    if policy == SEVERAL:
        return _primary_of(server, others)
    taken = draft.taken_on(server.resource_id.lower())
    found: list[str] = []
    for texts in (server.properties.provider_addresses, _used_now(server)):
        own = _own(draft, server, texts, network)
        first = next((one for one in own if one not in taken), None)
        if first is not None and first != min(own):
            found.append(ip_text(first))
    return _primary_of(server, (*others, *dict.fromkeys(found)))


def _check(draft: Draft, sides: tuple[Server, Server], segment: Segment) -> None:
    """Raises NotReady where a virtual subnet would come to an address that another machine has, from one that none
    has. One that is to come yet is waited for."""
    before, server = sides
    network = draft.get("virtualNetworks", segment.network.rpartition("/")[2])
    if network is None or is_rewriting(network.properties):
        return
    logical = lower(network.properties.logical_network)
    policy, _ = policy_of(draft, server.properties, logical)
    own = _own(draft, server, server.properties.provider_addresses, logical)
    if not own or not _changes(draft, sides, logical):
        return
    # with an address of its own a virtual subnet needs the host's too
    address = falls_to(Vsid(segment.vsid), own) if policy == SEVERAL else own[0]
    taken, change = draft.taken_on(server.resource_id.lower()), server.properties.provider_address_change
    if address not in taken or (change is not None and ip_text(address) in change.coming):
        return
    subnet = subnet_of(network, segment.key.rpartition("/")[2])
    now = provider_address(draft.state, before.resource_id, network, subnet)
    host = now if _policy_before(draft, before, logical) == SEVERAL else _first_of(draft, before, logical)
    if now is not None and now not in taken and host not in taken:
        text, other = ip_text(address), taken[address]
        raise NotReady(
            f"Machines in {segment.ref} on '{server.resource_id}' would reach no other host: they would go on with its "
            f"provider address {text}, which is {other}'s already, in place of {ip_text(now)}. Take {text} from "
            f"{other}, or ask for other providerAddresses of {server.resource_id} first.",
            target=f"/servers/{server.resource_id}",
        )


def _first_of(draft: Draft, before: Server, network: str) -> PackedIp | None:
    own = _own(draft, before, _used_now(before), network)
    return own[0] if own else None


def _changes(draft: Draft, sides: tuple[Server, Server], network: str) -> bool:
    """Does the command say which addresses are used, or begin to use them?"""
    before, server = (one.properties for one in sides)
    phases = [one.provider_address_change.phase if one.provider_address_change else "" for one in (before, server)]
    return (
        before.provider_addresses != server.provider_addresses
        or phases == [PREPARING, SWITCHED]
        or _policy_before(draft, sides[0], network) != policy_of(draft, server, network)[0]
    )


def _policy_before(draft: Draft, before: Server, network: str) -> str:
    logical = draft.state.get(LOGICAL, network.rpartition("/")[2])
    return provider_places.policy_of(before.properties, logical.properties if logical is not None else None)[0]


def _used_now(server: Server) -> Iterator[str]:
    """A host's own as text, but for those that are not used yet, or no more."""
    change = server.properties.provider_address_change
    if change is None or change.phase != PREPARING:
        return iter(server.properties.provider_addresses)
    return (one for one in own_texts(server) if one not in change.coming)


def _own(draft: Draft, server: Server, texts: Iterable[str], network: str) -> list[PackedIp]:
    """Of these addresses those in a provider network, of one family, the one that the host goes by first."""
    ref = f"/servers/{server.resource_id}"
    every = sorted(pack_ip(one) for one in texts if lies_in(draft, ref, one, network))
    own = [one for one in every if len(one) == len(min(every, key=len))]
    return primary_first(server, own) if own else []


def _primary_of(server: Server, primary: tuple[str, ...]) -> Server:
    properties = msgspec.structs.replace(server.properties, primary_provider_addresses=primary)
    return msgspec.structs.replace(server, properties=properties)
