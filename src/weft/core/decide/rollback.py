"""NoteMacs: a running machine came back with other MAC addresses than its interfaces have, by a rollback that nobody
announced. Where nobody else has them they become the interfaces' again, so that the ports follow without a reboot.

Called through core.decide by control.behind. What another holds is left to core.findings, which names it. The address
that the interface had until now cools, or stays with the captures that name it.
"""

from weft.core.commands import Decision
from weft.core.decide.draft import Draft
from weft.core.decide.holding import hold_twin, holder_in, release
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.machines import machine_named, note_place, unchanged
from weft.core.decide.network_interfaces import captures_of, store_changed
from weft.core.decide.places import domain_of, mac_of
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.host_facts import NoteMacs
from weft.core.notable import present, server_of_port
from weft.core.state import State
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.values import mac_digits

Wanted = dict[str, tuple[Interface, int]]
"""By the interface's reference: what it has and the MAC address that its adapter has now."""


def note_macs(draft: Draft, command: NoteMacs) -> Decision:
    """Answers the machine; unchanged where every adapter has its interface's address or somebody else's. Raises
    NotFound."""
    machine = machine_named(draft.state, command.machine)
    wanted: Wanted = {}
    for interface, adapter in fitted(interfaces_of(draft.state, machine), command.adapters):
        if adapter.mac and adapter.mac != mac_of(interface):
            wanted[f"/networkInterfaces/{interface.resource_id}"] = (interface, adapter.mac)
    own = captures_of(draft.state, machine.resource_id)
    free = to_be_had(draft.state, command.server if command.alone else "", wanted, own)
    if not free:
        return unchanged(machine)
    note_place(draft, machine.resource_id, machine.properties.server)
    granted = {ref: _was_granted(draft, mac, own) for ref, (_, mac) in free.items()}
    why = {ref: _why(draft, ref, mac, own, command.server) for ref, (_, mac) in free.items()}
    for ref, (interface, _) in free.items():
        old = mac_of(interface)
        if old is not None and holder_in(draft.lease(MAC_SCOPE, old), ref) is not None:
            release(draft, MAC_SCOPE, old, ref, why[ref])
    for ref, (interface, mac) in free.items():
        holder = Holder("networkInterface", ref, domain_of(draft.state, interface), granted[ref])
        hold_twin(draft, MAC_SCOPE, mac, holder, why[ref])
        store_changed(draft, interface, private_mac_address=mac_digits(mac))
    return Decision(changes=draft.changes(), outcome="done", resource=machine)


def to_be_had(state: State, server: str, wanted: Wanted, own: frozenset[str]) -> Wanted:
    """Those that nobody else holds: their machine's own captures do not count, nor an interface of it that gives the
    address up for another of them, nor what was seen on `server`, the machine's own."""
    found = dict(wanted)
    while True:
        yielding = frozenset(ref.lower() for ref in found) | own
        taken = [ref for ref, (_, mac) in found.items() if _is_held(state.lease(MAC_SCOPE, mac), server, yielding)]
        # two of its adapters with one address
        macs = [mac for _, mac in found.values()]
        taken += [ref for ref, (_, mac) in found.items() if macs.count(mac) > 1 and ref not in taken]
        if not taken:
            return found
        for ref in taken:
            del found[ref]


def _is_held(lease: Lease | None, server: str, yielding: frozenset[str]) -> bool:
    return any(
        one.ref.lower() not in yielding and not (one.kind == "port" and server_of_port(one.ref) == server.lower())
        for one in present(lease)
    )


def _was_granted(draft: Draft, mac: int, own: frozenset[str]) -> bool:
    return any(one.granted for one in present(draft.lease(MAC_SCOPE, mac)) if one.ref.lower() in own)


def _why(draft: Draft, ref: str, mac: int, own: frozenset[str], server: str) -> str:
    lease = draft.lease(MAC_SCOPE, mac)
    had = lease is not None and any(one.ref.lower() in own | {ref.lower()} for one in lease.holders)
    return f"rollback seen on {server}" if had else f"its adapter has it on {server}"
