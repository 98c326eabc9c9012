"""Which gateways serve a virtual gateway, in order: the first carries its traffic, the others stand by.

Called by the rules of gateways, their pools and virtual gateways. An order is kept as far as its gateways are still
there; what is missing is filled with those that carry least. A death is not decided here: the order stays. Where the
network is encrypted, hosts that can encrypt come first, and nobody else comes to it because another left.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import needs_encryption
from weft.core.decide.envelope import new_etag
from weft.core.encryption import unable
from weft.core.index import last_id, lower
from weft.core.state import State
from weft.model.gateways import VirtualGatewayProperties
from weft.model.kinds import GATEWAYS, VIRTUAL_GATEWAYS, resource_ref
from weft.model.resources import Ref, Resource

VirtualGateway = Resource[VirtualGatewayProperties]

NONE: Mapping[str, int] = {}
NOBODY: Mapping[str, str] = {}


def order_of(state: State, subnet: str, pools: Iterable[Ref], before: Iterable[Ref], gone: str = "") -> tuple[Ref, ...]:
    """The gateways for one that draws on `pools` and is of the network that `subnet` is a reference into; `gone` (lower
    case) is leaving the state."""
    return _ordered(state, subnet, pools, before, _Change(NOBODY, gone, NONE, Counter()))


def reorder(
    draft: Draft,
    pools: Iterable[str],
    added: Mapping[str, str] = NOBODY,
    gone: str = "",
    standby: Mapping[str, int] = NONE,
) -> None:
    """Give every virtual gateway that draws on one of `pools` its gateways anew. `added`: servers' ids by the
    references of gateways that are not in the state yet; these may come to networks for which they are unfit."""
    state = draft.state
    names = {user for pool in pools for user in state.uses.of(pool, VIRTUAL_GATEWAYS.name)}
    moved: Counter[str] = Counter()
    for name in sorted(names):
        key = name.rpartition("/")[2].lower()
        old: VirtualGateway | None = state.get(VIRTUAL_GATEWAYS.name, key)
        assert old is not None
        p = old.properties
        change = _Change(added, gone, standby, moved)
        gateways = _ordered(state, lower(p.gateway_subnets[0]), p.gateway_pools, p.gateways, change)
        if gateways != p.gateways:
            moved.update(lower(ref) for ref in gateways[:1])
            moved.subtract(lower(ref) for ref in p.gateways[:1])
            properties = msgspec.structs.replace(p, gateways=gateways)
            after = msgspec.structs.replace(old, etag=new_etag(draft.new_id), properties=properties)
            draft.put(VIRTUAL_GATEWAYS.name, key, old, after)


class _Change(NamedTuple):
    """What the state does not have yet."""

    added: Mapping[str, str]
    """Ids of servers by the references of gateways."""
    gone: str
    standby: Mapping[str, int]
    """redundantGatewayCount by the pool's reference, lower case."""
    moved: Counter[str]
    """How many virtual gateways more have a gateway first."""


def _ordered(
    state: State, subnet: str, pools: Iterable[Ref], before: Iterable[Ref], change: _Change
) -> tuple[Ref, ...]:
    named = list(pools)
    there = {ref.lower(): ref for pool in named for ref in state.uses.of(pool.resource_ref, GATEWAYS.name)}
    there |= {ref.lower(): ref for ref in change.added}
    there.pop(change.gone, None)
    count = 1 + max((_standby(state, pool, change.standby) for pool in named), default=0)
    unfit = _unfit(state, subnet, there.values(), change.added)
    kept = [there[lower(ref)] for ref in before if lower(ref) in there]
    rest = sorted(
        (ref for ref in there.values() if ref not in kept),
        key=lambda ref: (load_of(state, ref) + change.moved[ref.lower()], ref),
    )
    if change.gone or change.standby:  # whoever names or adds one that is unfit is refused instead
        rest = [ref for ref in rest if ref not in unfit]
    chosen = sorted((*kept, *rest), key=lambda ref: ref in unfit)[:count]
    return tuple(Ref(resource_ref=ref) for ref in chosen)


def _unfit(state: State, subnet: str, gateways: Iterable[str], added: Mapping[str, str]) -> set[str]:
    """Those of the gateways, by reference, whose hosts cannot encrypt, where that is needed."""
    if not needs_encryption(state, subnet):
        return set()
    return {ref for ref in gateways if unable(state, [added.get(ref, "") or server_of(state, ref)])}


def server_of(state: State, gateway: str) -> str:
    """Id of a gateway's server, by the gateway's reference; empty for one that is not there."""
    return state.index.gateways.servers.get(gateway.rpartition("/")[2].lower(), "")


def _standby(state: State, pool: Ref, changed: Mapping[str, int]) -> int:
    found = state.get("gatewayPools", last_id(pool))
    stored: int = found.properties.redundant_gateway_count if found is not None else 0
    return changed.get(lower(pool), stored)


def load_of(state: State, gateway: str) -> int:
    """How many virtual gateways have it first."""
    count = 0
    for user in state.uses.of(gateway, VIRTUAL_GATEWAYS.name):
        found = state.find_ref(user)
        count += found is not None and lower(found.properties.gateways[0]) == gateway.lower()
    return count


def ref_of(resource_id: str) -> str:
    """resourceRef of a gateway."""
    return resource_ref(GATEWAYS, resource_id)
