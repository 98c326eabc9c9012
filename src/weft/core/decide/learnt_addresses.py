"""Addresses that guests brought, as their interfaces hold them: what becomes of them when the interface changes.

Called by core.decide.network_interfaces, restoring and learning. Such an address is its interface's by a lease of the
ledger as every other is, but for that whoever announces it next may have it, also while it cools. It is what a guest
said of itself, so no checkpoint or export captures it and no copy has it.
"""

from collections.abc import Collection, Iterator

from weft.core.decide.draft import Draft
from weft.core.decide.holding import release
from weft.core.decide.ip_configurations import Interface, Place, stored_address
from weft.core.index import lower
from weft.core.policy_learning import may_be_beside
from weft.core.pools import Segment
from weft.core.state import State
from weft.model.leases import LEARNT
from weft.model.workload import LearnedAddress


def learnt_places(state: State, interface: Interface) -> Iterator[tuple[Place, LearnedAddress]]:
    """Where its learnt addresses stand in the ledger."""
    for one in interface.properties.learned_ip_addresses:
        segment = state.segment(one.subnet.resource_ref) if one.subnet is not None else None
        assert segment is not None, "a subnet with learnt addresses is there"
        yield (segment.scope, stored_address(one.ip_address)), one


def give_up_learnt(draft: Draft, interface: Interface, reason: str) -> None:
    """Release all of them; who stores the interface leaves them out."""
    for place, _ in learnt_places(draft.state, interface):
        release_learnt(draft, place, interface, reason)


def release_learnt(draft: Draft, place: Place, interface: Interface, reason: str) -> None:
    release(draft, *place, f"/networkInterfaces/{interface.resource_id}", f"{LEARNT}: {reason}")


def kept_learnt(draft: Draft, old: Interface | None, domain: str, own: Collection[Place]) -> tuple[LearnedAddress, ...]:
    """Those that an interface keeps which is now in an L2 domain, with its `own` addresses by configuration; the others
    are released, but for what it was given meanwhile."""
    if old is None or not old.properties.learned_ip_addresses:
        return ()
    kept = []
    for place, one in learnt_places(draft.state, old):
        segment = draft.state.segment(one.subnet.resource_ref) if one.subnet is not None else None
        if place in own:
            continue
        if segment is not None and segment.domain == domain and _may_stay(draft.state, segment, own):
            kept.append(one)
        else:
            release_learnt(draft, place, old, "its interface left the subnet")
    return tuple(kept)


def _may_stay(state: State, segment: Segment, own: Collection[Place]) -> bool:
    subnet = state.find_ref(segment.key)
    named = any(scope == segment.scope and segment.first <= address <= segment.last for scope, address in own)
    return subnet is not None and may_be_beside(subnet, named)


def names(interface: Interface, subnet: str) -> bool:
    """Has it an ipConfiguration in a subnet, by its reference in lower case?"""
    return any(lower(one.properties.subnet) == subnet for one in interface.properties.ip_configurations)
