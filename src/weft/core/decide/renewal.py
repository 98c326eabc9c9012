"""RenewMac: the one way to another MAC address for an interface that a machine has. The old one cools down.

Called through core.decide by the API, in batches, and by control.restarts.
"""

import msgspec

from weft.core.commands import Decision, RenewMac
from weft.core.decide.bindings import interface_of
from weft.core.decide.draft import Draft
from weft.core.decide.granting import origin_of
from weft.core.decide.holding import grant_mac, hold_mac, holder_in, release
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.machines import Machine, is_running, machine_ref, note_place, settled_machine, unchanged
from weft.core.decide.network_interfaces import captures_of, store_changed
from weft.core.decide.places import domain_of, mac_of, restored
from weft.core.index import last_id
from weft.model.errors import Conflict, InvalidMacAddress, InvalidReference
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.values import Mac, mac_dashes, mac_digits, parse_mac


def renew(draft: Draft, command: RenewMac) -> Decision:
    """Answers the machine, with a report of the one interface. Raises NotFound, InvalidReference, AddressInUse,
    Conflict (MachineIsRunning, NoHostRange), PoolIsFull."""
    machine = settled_machine(draft.state, command.machine)
    interface = _interface(draft, machine, command.interface)
    if machine.properties.power_state == "Running" and not command.force:
        raise is_running(machine, "its guest would lose its network. Stop it first, or ask with force (--force).")
    ref = f"/networkInterfaces/{interface.resource_id}"
    old = mac_of(interface)
    asked = _asked(command.mac_address)
    if asked is not None and asked == old:
        kept = restored(draft.state, interface, interface, "kept")
        return msgspec.structs.replace(unchanged(machine), report=(kept,))
    note_place(draft, machine.resource_id, machine.properties.server)
    held = holder_in(draft.lease(MAC_SCOPE, old), ref) if old is not None else None
    granted = asked is None or interface.properties.private_mac_allocation_method == "Dynamic"
    holder = Holder(
        "networkInterface",
        ref,
        domain_of(draft.state, interface),
        granted,
        held.inactive if held is not None else 0.0,
    )
    if asked is not None:
        hold_mac(draft, asked, holder, captures_of(draft.state, machine.resource_id))
        mac = asked
    else:
        mac = _granted(draft, interface, holder)
    if old is not None:
        release(draft, MAC_SCOPE, old, ref, f"renewed: {ref} has {mac_dashes(mac)} now")
    after = store_changed(draft, interface, private_mac_address=mac_digits(mac))
    report = restored(draft.state, interface, after, "renewed")
    return Decision(changes=draft.changes(), outcome="done", resource=machine, report=(report,))


def _interface(draft: Draft, machine: Machine, name: str) -> Interface:
    wanted = name.rpartition("/")[2].lower()
    for ref in machine.properties.network_interfaces:
        if last_id(ref) == wanted:
            return interface_of(draft, ref)
    raise InvalidReference(
        f"{machine_ref(machine.resource_id)} has no network interface '{name}'.", target="networkInterface"
    )


def _granted(draft: Draft, interface: Interface, holder: Holder) -> Mac:
    origin = origin_of(draft.state, interface, interface)
    if origin.waits():
        raise Conflict(
            f"{holder.ref} takes its address from the range of its host, and it is bound to none: put its machine on a "
            "server first, or name a macAddress.",
            code="NoHostRange",
            target=holder.ref,
        )
    return grant_mac(draft, holder, origin, "renewed")


def _asked(text: str) -> Mac | None:
    if not text:
        return None
    try:
        return parse_mac(text)
    except InvalidMacAddress as wrong:
        wrong.target = "macAddress"
        raise
