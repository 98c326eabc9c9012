"""NoteSeen: what an agent sees on its switches and no binding of ours explains becomes a holder of the address.

Called through core.decide by control, with all that a server's agent sees now. A free address becomes foreign; one that
somebody has stays his and is a conflict (core.conflicts). What is not seen any more goes, and a foreign address of a
pool cools then. What is learnt names a frame, not who sent it: all switches on its way learn it, so one of the ports
that meet stands for all, and a port that somebody gave the address to stands before those. A machine that its
hypervisor tells and that is off has its addresses too (Seen.off). Costs by what is seen.
"""

from collections.abc import Iterable, Set

from weft.core.commands import Decision, NoteSeen, Seen
from weft.core.decide.cool_down import left_to
from weft.core.decide.draft import Draft
from weft.core.l2 import subnet_on
from weft.core.macs import why_forbidden
from weft.core.notable import OFF, present, server_of_port
from weft.model.leases import COOLING, MAC_SCOPE, Holder, Lease, state_of

Port = tuple[int, str]
"""MAC address and the reference of the port that has it."""


def note_seen(draft: Draft, command: NoteSeen) -> Decision:
    """Make the ports of one server what its agent says; of a server that is not there, none."""
    noted = draft.state.addresses.notable.ports.get(command.server.lower(), {})
    before = {port for port in noted if command.only is None or port[0] in command.only}
    after = _ports(draft, command, before)
    draft.host = command.server
    for mac, ref in sorted(before - after.keys()):
        _unsee(draft, mac, ref)
    for (mac, _), holder in sorted(after.items()):
        _see(draft, mac, holder)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")


def forget_ports(draft: Draft, server: str) -> None:
    """A server goes: nobody looks at its switches any more. `server` is its resource id."""
    for mac, ref in sorted(draft.state.addresses.notable.ports.get(server.lower(), {})):
        _unsee(draft, mac, ref)


def _ports(draft: Draft, command: NoteSeen, before: Set[Port]) -> dict[Port, Holder]:
    state = draft.state
    server = state.get("servers", command.server)
    if server is None:
        return {}
    domains: dict[int, str] = {}
    ports: dict[Port, Holder] = {}
    having: dict[int, list[Holder]] = {}

    def ref_of(seen: Seen) -> str:
        return f"/servers/{server.resource_id}/{OFF if seen.off else 'ports'}/{seen.port}"

    # what was given comes first, then what stands for others already
    for seen in sorted(command.seen, key=lambda one: (one.learnt, (one.mac, ref_of(one)) not in before)):
        if _is_ours(draft, seen, server.resource_id):
            continue
        # an untagged port may be plugged in anywhere, also beside ours; a learnt frame came in from a wire
        vlan = seen.vlan if seen.vlan or seen.learnt else None
        if vlan is not None and vlan not in domains:
            domains[vlan] = subnet_on(state.addresses.segments, server, vlan)
        holder = Holder("port", ref_of(seen), domains[vlan] if vlan is not None else "")
        if seen.learnt and _is_explained(draft, seen.mac, holder, having.get(seen.mac, ())):
            continue
        ports[seen.mac, holder.ref] = holder
        having.setdefault(seen.mac, []).append(holder)
    return ports


def _is_explained(draft: Draft, mac: int, holder: Holder, here: Iterable[Holder]) -> bool:
    """Whether another port that it meets has the address: of this server by what it says now, else as on record."""
    server = server_of_port(holder.ref)
    there = (
        one
        for one in present(draft.state.lease(MAC_SCOPE, mac))
        if one.kind == "port" and server_of_port(one.ref) != server
    )
    return any(one.ref != holder.ref and draft.state.meet(one.domain, holder.domain) for one in (*here, *there))


def _is_ours(draft: Draft, seen: Seen, server: str) -> bool:
    """Whether there is nothing strange about it: no host can have it, a server's own adapter has, or it was learnt only
    and an interface of ours has it somewhere else. A switch remembers for minutes what has gone: cooling is no news."""
    if why_forbidden(seen.mac):
        return True
    lease = draft.state.lease(MAC_SCOPE, seen.mac)
    if lease is None:
        return False
    own = f"/servers/{server}".lower()
    for holder in present(lease):
        if holder.kind == "server" and (seen.learnt or holder.ref.lower() == own):
            return True
        if holder.kind == "networkInterface" and seen.learnt:
            return True
    return seen.learnt and lease.state == COOLING and any(one.kind != "port" for one in lease.holders)


def _see(draft: Draft, mac: int, holder: Holder) -> None:
    lease = draft.lease(MAC_SCOPE, mac)
    holders = present(lease)
    if holder in holders:
        return
    holders = (*(one for one in holders if one.ref != holder.ref), holder)
    reason = lease.reason if lease is not None and len(holders) > 1 else ""
    draft.turn(lease, Lease(MAC_SCOPE, mac, state_of(MAC_SCOPE, holders), holders, reason=reason), "seen", holder.ref)


def _unsee(draft: Draft, mac: int, ref: str) -> None:
    lease = draft.lease(MAC_SCOPE, mac)
    assert lease is not None
    others = tuple(one for one in lease.holders if one.ref != ref)
    reason = f"{ref} does not have it any more"
    draft.turn(lease, left_to(draft, lease, others, reason), "unseen", reason)
