"""LearnAddress and ForgetAddress: addresses that guests bring ("guest specified IP"), where their subnet lets them.

Called through core.decide by control.learning. Such an address is a lease like any other: assigned, with the interface
as its holder, and so nobody else's. It belongs to whoever announced it last: another interface of the subnet takes it
over by telling everybody (a cluster's address goes to the next node so), or by using it where the one that has it does
not run or does not answer for it. What was given by Weft or asked for in an ipConfiguration is never taken over.
"""

import ipaddress
from collections.abc import Iterable

from weft.core.commands import Decision
from weft.core.decide.draft import Draft
from weft.core.decide.holding import IP_IN_USE, about, check_rest, why_excluded
from weft.core.decide.ip_configurations import Interface, Place, addresses_of, check_reserved, stored_address
from weft.core.decide.learnt_addresses import names, release_learnt
from weft.core.decide.machines import note_place
from weft.core.decide.network_interfaces import store_changed
from weft.core.decide.places import domain_of
from weft.core.host_facts import ForgetAddress, LearnAddress
from weft.core.index import last_id, lower
from weft.core.policy_learning import may_be_beside
from weft.core.policy_places import INTERFACES, Subnet
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import hold_text, number_text
from weft.model.errors import AddressInUse, Conflict, Invalid, NotFound, Refusal
from weft.model.leases import ASSIGNED, COOLING, LEARNT, Holder, Lease, is_learnt
from weft.model.resources import Ref
from weft.model.values import PackedIp, wall_text
from weft.model.workload import LearnedAddress

MOST_TAKE_OVERS, WITHIN_S = 4, 60.0
"""So often may one address go from interface to interface, in so many seconds: after that it stays where it is, since
two guests that both announce it would move it for ever."""

_CONTESTED, _LIMIT, _DISABLED = "GuestAddressContested", "GuestAddressLimit", "GuestSpecifiedAddressesDisabled"


def learn(draft: Draft, command: LearnAddress) -> Decision:
    """Raises NotFound, Conflict (GuestSpecifiedAddressesDisabled, GuestAddressLimit, GuestAddressContested),
    AddressInUse, Invalid (PrivateIPAddressInReservedRange)."""
    interface = _interface(draft, command.instance_id)
    segment, subnet = _segment(draft.state, interface, command.address)
    address = int.from_bytes(command.address)
    place, ref = (segment.scope, address), f"/networkInterfaces/{interface.resource_id}"
    if place in addresses_of(draft.state, interface) or learnt_at(draft.state, interface, place) is not None:
        return Decision(changes=(), outcome="unchanged", resource=interface)
    holder = Holder("networkInterface", ref, segment.domain)
    try:
        check_reserved(segment, address, ref)
        if why := why_excluded(draft, *place):
            raise Invalid(f"{why}.", code="PrivateIPAddressInReservedRange", target="privateIPAddress")
        lease = draft.lease(*place)
        if lease is not None and not is_learnt(lease):
            _check_free(draft, lease, holder)
        _check_limit(interface, subnet, segment)
        taken = _take_over(draft, command, lease, ref) if lease is not None and lease.state == ASSIGNED else ()
    except Refusal as refusal:
        about(refusal, *place, ref)
        raise
    _note(draft, interface)
    event, words = ("takenOver", f"from {lease.holders[0].ref}") if lease is not None and taken else (LEARNT, "")
    draft.turn(lease, Lease(*place, ASSIGNED, (holder,), reason=LEARNT), event, words)
    learned = LearnedAddress(
        ip_address=number_text(segment.version, address),
        subnet=Ref(resource_ref=segment.ref),
        since=wall_text(draft.now.wall),
        taken_over=taken,
    )
    every = (*interface.properties.learned_ip_addresses, learned)
    after = store_changed(draft, interface, learned_ip_addresses=every)
    return Decision(changes=draft.changes(), outcome="done", resource=after)


def forget(draft: Draft, command: ForgetAddress) -> Decision:
    """Raises NotFound. One that the interface does not have is no change."""
    interface = _interface(draft, command.instance_id)
    for one in interface.properties.learned_ip_addresses:
        if ipaddress.ip_address(one.ip_address).packed == command.address:
            _note(draft, interface)
            after = _without(draft, interface, (one,), command.reason)
            return Decision(changes=draft.changes(), outcome="done", resource=after)
    return Decision(changes=(), outcome="unchanged", resource=interface)


def end_learning(draft: Draft, subnets: Iterable[str], filtered: Iterable[str]) -> None:
    """Release all that guests of these subnets have brought, by their references, and of those that are `filtered` now
    what interfaces without an ipConfiguration there have. Costs by those."""
    ended, listed = ({one.lower() for one in many} for many in (subnets, filtered))
    found = {one.resource_id: one for ref in sorted(ended | listed) for one in draft.state.interfaces_learning(ref)}
    for interface in found.values():
        learnt = [(one, lower(one.subnet)) for one in interface.properties.learned_ip_addresses]
        gone = [one for one, ref in learnt if ref in ended or (ref in listed and not names(interface, ref))]
        if gone:
            _note(draft, interface)
            _without(draft, interface, gone, "its subnet takes no such addresses any more")
    if found:
        note_place(draft, "", None)


def release_brought(draft: Draft, lease: Lease, reason: str) -> None:
    """What an operator makes an interface forget; its guest may bring it again."""
    place = lease.scope, lease.address
    interface = draft.get(INTERFACES, lease.holders[0].ref.rpartition("/")[2])
    assert interface is not None
    found = learnt_at(draft.state, interface, place)
    assert found is not None
    _note(draft, interface)
    _without(draft, interface, (found,), reason)


def brought_by_another(state: State, instance_id: str, address: PackedIp) -> Interface | None:
    """The other interface of its subnet whose guest has brought an address, if one has."""
    found = state.by_instance(instance_id)
    if found is None or found[0] != INTERFACES:
        return None
    try:
        segment, _ = _segment(state, found[1], address)
    except Conflict:
        return None
    lease = state.lease(segment.scope, int.from_bytes(address))
    if lease is None or lease.state != ASSIGNED or not is_learnt(lease):
        return None
    other: Interface | None = state.get(INTERFACES, lease.holders[0].ref.rpartition("/")[2])
    return other if other is not found[1] else None


def learnt_at(state: State, interface: Interface, place: Place) -> LearnedAddress | None:
    """What it has learnt that stands at this place of the ledger."""
    for one in interface.properties.learned_ip_addresses:
        segment = state.segment(one.subnet.resource_ref) if one.subnet is not None else None
        if segment is not None and (segment.scope, stored_address(one.ip_address)) == place:
            return one
    return None


def _interface(draft: Draft, instance_id: str) -> Interface:
    found = draft.state.by_instance(instance_id)
    if found is None or found[0] != INTERFACES:
        raise NotFound(f"There is no network interface with instanceId {instance_id}.", target=INTERFACES)
    interface: Interface = found[1]
    return interface


def _segment(state: State, interface: Interface, address: PackedIp) -> tuple[Segment, Subnet]:
    """The subnet of the interface, or its dual-stack partner, that the address lies in and that guests may bring."""
    domain = domain_of(state, interface)
    own = state.segment(domain)
    network = own.network if own is not None else ""
    found = state.find_ref(network) if network.startswith("/virtualnetworks/") else None
    number, version = int.from_bytes(address), 4 if len(address) == 4 else 6
    for subnet in found.properties.subnets if found is not None else ():
        segment = state.segment(f"{network}/subnets/{subnet.resource_id}")
        if segment is None or (segment.domain, segment.version) != (domain, version):
            continue
        if segment.first <= number <= segment.last and subnet.properties.guest_specified_addresses.enabled:
            if not may_be_beside(subnet, names(interface, segment.key)):
                break
            return segment, subnet
    text = f"Guests of /networkInterfaces/{interface.resource_id} may not bring {number_text(version, number)}: "
    why = "no subnet of it has guestSpecifiedAddresses enabled for that, or one with an access list has that it has no "
    raise Conflict(f"{text}{why}ipConfiguration in.", code=_DISABLED)


def _check_limit(interface: Interface, subnet: Subnet, segment: Segment) -> None:
    most = subnet.properties.guest_specified_addresses.maximum_per_interface
    had = sum(lower(one.subnet) == segment.key for one in interface.properties.learned_ip_addresses)
    if had >= most:
        raise Conflict(
            f"The guest of /networkInterfaces/{interface.resource_id} has brought {had} addresses of {segment.ref}, "
            f"which takes {most} (maximumPerInterface): take one from the guest, or let the subnet take more.",
            code=_LIMIT,
            target=segment.ref,
        )


def _check_free(draft: Draft, lease: Lease, holder: Holder) -> None:
    """Refuse what somebody was given, keeps, or, but for the interface itself, has just given up."""
    check_rest(draft, lease, holder)
    if lease.state == COOLING:
        return
    others = lease.holders
    raise AddressInUse(
        f"{hold_text(draft.state, lease, others[0])}: the guest of {holder.ref} cannot have it too. Take it from that "
        "guest, or release what has it.",
        code=IP_IN_USE,
        target=others[0].ref,
    )


def _take_over(draft: Draft, command: LearnAddress, lease: Lease, ref: str) -> tuple[float, ...]:
    """Take it from the interface that has it. Answers when it was taken over of late, now included."""
    other: Interface | None = draft.get(INTERFACES, last_id(Ref(resource_ref=lease.holders[0].ref)))
    assert other is not None
    had = learnt_at(draft.state, other, (lease.scope, lease.address))
    assert had is not None
    machine = draft.state.machine_of(other.resource_id)
    runs = machine is not None and machine.properties.power_state == "Running"
    text = had.ip_address
    if runs and not (command.announced or command.silent):
        raise AddressInUse(
            f"{text} was brought by the guest of {lease.holders[0].ref}, which answers for it: {ref} has it once its "
            "guest announces it (gratuitous ARP, or an unsolicited neighbour advertisement).",
            code=IP_IN_USE,
            target=lease.holders[0].ref,
        )
    now = draft.now.ledger
    recent = tuple(one for one in had.taken_over if now - WITHIN_S < one <= now)
    if len(recent) >= MOST_TAKE_OVERS:
        raise Conflict(
            f"The guests of {lease.holders[0].ref} and {ref} both announce {text}, which went from one to another "
            f"{len(recent)} times within {WITHIN_S:.0f} s: it stays with the first. Take it from one of them.",
            code=_CONTESTED,
            target=lease.holders[0].ref,
        )
    rest = tuple(one for one in other.properties.learned_ip_addresses if one is not had)
    store_changed(draft, other, learned_ip_addresses=rest)
    return (*recent, now)


def _without(draft: Draft, interface: Interface, gone: Iterable[LearnedAddress], reason: str) -> Interface:
    """Release some and store the interface without them."""
    left = list(interface.properties.learned_ip_addresses)
    for one in gone:
        segment = draft.state.segment(one.subnet.resource_ref) if one.subnet is not None else None
        assert segment is not None
        release_learnt(draft, (segment.scope, stored_address(one.ip_address)), interface, reason)
        left.remove(one)
    return store_changed(draft, interface, learned_ip_addresses=tuple(left))


def _note(draft: Draft, interface: Interface) -> None:
    machine = draft.state.machine_of(interface.resource_id)
    note_place(draft, machine.resource_id if machine else "", machine.properties.server if machine else None)
