"""ReleaseAddress and ReleaseInactive: addresses that go back because somebody, or a pool's rule, says so.

What an inactive holder holds goes with its interface, and with the last interface its machine. Called through
core.decide by the API, and by control's clock.
"""

from weft.core.commands import Decision, ReleaseAddress, ReleaseInactive
from weft.core.decide.bindings import INTERFACES
from weft.core.decide.captures import remove_checkpoints
from weft.core.decide.draft import Draft
from weft.core.decide.learning import release_brought
from weft.core.decide.machines import note_place, put_machine
from weft.core.decide.network_interfaces import give_up
from weft.core.index import last_id
from weft.core.pools import PoolSpec
from weft.core.words import address_text, hold_text
from weft.model.errors import Conflict, NotFound
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.leases import COOLING, MAC_SCOPE, is_learnt


def release_address(draft: Draft, command: ReleaseAddress) -> Decision:
    """Raises NotFound (free), Conflict (AddressIsHeld) naming the holder."""
    lease = draft.lease(command.scope, command.address)
    text = address_text(command.scope, command.address)
    if lease is None:
        raise NotFound(f"{text} is free: there is nothing to release.", target=text)
    if lease.state == COOLING:
        draft.turn(lease, None, "released", command.reason)
        return Decision(changes=draft.changes(), outcome="done")
    if is_learnt(lease):
        release_brought(draft, lease, command.reason)
        return Decision(changes=draft.changes(), outcome="done")
    inactive = [one for one in lease.holders if one.inactive]
    if not inactive:
        raise Conflict(
            f"{hold_text(draft.state, lease, *lease.holders[:1])}. Only what cools down, what a guest brought, or what "
            "something inactive holds, can be released: delete what holds it.",
            code="AddressIsHeld",
            target=lease.holders[0].ref if lease.holders else text,
        )
    for holder in inactive:
        _remove_interface(draft, holder.ref.rpartition("/")[2], command.reason)
    return Decision(changes=draft.changes(), outcome="done")


def release_inactive(draft: Draft, command: ReleaseInactive) -> Decision:
    """What inactive holders have held for longer than the rule of the macPool of their MAC address allows."""
    left = command.limit
    for pool in draft.state.addresses.mac_pools:
        for mac in pool.inactive_due(draft.now.ledger, left):
            left -= _release_due(draft, pool.spec, mac)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")


def _release_due(draft: Draft, pool: PoolSpec, mac: int) -> int:
    """How many interfaces with this MAC address went."""
    lease = draft.lease(MAC_SCOPE, mac)
    assert lease is not None
    longest = draft.now.ledger - pool.release_inactive
    due = [one for one in lease.holders if one.inactive and one.inactive <= longest]
    for holder in due:
        reason = f"inactive for longer than {pool.ref} allows ({pool.release_inactive} s)"
        _remove_interface(draft, holder.ref.rpartition("/")[2], reason)
    return len(due)


def _remove_interface(draft: Draft, name: str, reason: str) -> None:
    """With its machine if that has no other; the machine goes first, as its interfaces must be there until then."""
    interface = draft.get(INTERFACES, name)
    assert interface is not None
    owner = draft.state.machine_of(name)
    machine = draft.get(VIRTUAL_MACHINES.name, owner.resource_id) if owner is not None else None
    if machine is not None:
        note_place(draft, machine.resource_id, machine.properties.server)
        rest = tuple(ref for ref in machine.properties.network_interfaces if last_id(ref) != name.lower())
        if rest:
            put_machine(draft, machine, network_interfaces=rest)
        else:
            remove_checkpoints(draft, machine.resource_id)
            draft.put(VIRTUAL_MACHINES.name, machine.resource_id.lower(), machine, None)
    give_up(draft, interface, reason)
    draft.put(INTERFACES, name.lower(), interface, None)
