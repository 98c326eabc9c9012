"""Restore: a machine back to a checkpoint, over all its interfaces or not at all, with what became of each.

First all is given up that the checkpoint does not know, then all is taken that it does, so that interfaces may have
swapped their addresses since. What cannot be taken is refused, or replaced by fresh addresses (remap). Called through
core.decide by the API, in batches, and by control.restarts.
"""

import msgspec

from weft.core.commands import Decision
from weft.core.copy_commands import Restore, Restored
from weft.core.decide.bindings import INTERFACES, interface_of, note_addresses, server_named, user_of
from weft.core.decide.captures import Capture, captured_place
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.granting import Origin, origin_on
from weft.core.decide.holding import CAPTURES, about, grant_ip, grant_mac, hold_twin, holder_in, release, share_domain
from weft.core.decide.ip_configurations import Configuration, Interface, Place, places_in
from weft.core.decide.learnt_addresses import kept_learnt
from weft.core.decide.machines import (
    Machine,
    is_running,
    machine_ref,
    note_place,
    put_machine,
    settled_machine,
    unchanged,
)
from weft.core.decide.places import domain_of, mac_of, places_of, restored
from weft.core.index import lower
from weft.core.notable import OFF, is_off
from weft.core.words import address_text
from weft.model.errors import Conflict, Invalid, NotFound
from weft.model.kinds import CHECKPOINTS, is_own, owned_id, owner_and_name, resource_ref
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.resources import Ref, Resource
from weft.model.values import mac_digits, parse_mac
from weft.model.workload import (
    CapturedAddress,
    CapturedInterface,
    IpConfigurationProperties,
    NetworkInterfaceProperties,
)

_STOP = "Stop what has it."
_GIVE = "Give the machine that is off another address, or import it with addresses new."


class _Part:
    """One captured interface on its way back: `present` is what stands under its name now, if that is the machine's."""

    __slots__ = ("after", "captured", "present", "ref", "remapped")

    def __init__(self, ref: str, captured: CapturedInterface, present: Interface | None) -> None:
        self.ref = ref
        self.captured = captured
        self.present = present
        self.after = present
        self.remapped = False


def restore(draft: Draft, command: Restore) -> Decision:
    """`report` is a Restored per interface. Raises NotFound, Conflict (MachineIsRunning, AddressesTaken,
    MachineIsInactive ...), Invalid, PoolIsFull."""
    machine = settled_machine(draft.state, command.machine)
    own = owned_id(machine.resource_id, command.checkpoint)
    checkpoint = draft.state.get(CHECKPOINTS.name, own)
    if checkpoint is None:
        raise NotFound(
            f"{machine_ref(machine.resource_id)} has no checkpoint '{command.checkpoint}'.",
            target=resource_ref(CHECKPOINTS, own),
        )
    if command.addresses not in ("captured", "keep"):
        raise Invalid(f"addresses is captured or keep, not '{command.addresses}'.", target="addresses")
    if command.if_taken not in ("refuse", "remap"):
        raise Invalid(f"ifTaken is refuse or remap, not '{command.if_taken}'.", target="ifTaken")
    if machine.properties.inactive:
        raise Conflict(
            f"Its host no longer knows virtual machine {machine.resource_id} ({machine.properties.inactive}): bind it "
            "to a server first.",
            code="MachineIsInactive",
            target=machine_ref(machine.resource_id),
        )
    if command.addresses == "keep":
        present = [interface_of(draft, ref) for ref in machine.properties.network_interfaces]
        report = tuple(restored(draft.state, one, one, "kept") for one in present)
        return msgspec.structs.replace(unchanged(machine), report=report)
    return _Restoring(draft, machine, checkpoint, command.if_taken == "remap").decide()


class _Restoring:
    """One restore. `decide` is called once."""

    def __init__(self, draft: Draft, machine: Machine, checkpoint: Capture, remap: bool) -> None:
        self._draft = draft
        self._machine = machine
        self._checkpoint = checkpoint
        self._ref = resource_ref(CHECKPOINTS, checkpoint.resource_id)
        own = is_own(owner_and_name(checkpoint.resource_id)[1])
        self._why = "back: it did not start with others" if own else f"restored to {self._ref}"
        self._remap = remap
        self._refusals: list[Conflict] = []
        self._ways: dict[str, None] = {}
        """What others could do about them."""
        named = (lower(one.network_interface) for one in checkpoint.properties.network_interfaces)
        self._names = {ref.rpartition("/")[2] for ref in named}
        """Of interfaces that are spoken for, lower case."""

    def decide(self) -> Decision:
        draft, machine = self._draft, self._machine
        parts = [self._part(one) for one in self._checkpoint.properties.network_interfaces]
        refs = tuple(Ref(resource_ref=part.ref) for part in parts)
        changed = [part for part in parts if not self._is_as_captured(part) or self._is_contested(part)]
        if not changed and refs == machine.properties.network_interfaces:
            return msgspec.structs.replace(unchanged(machine), report=self._reports(parts, []))
        if machine.properties.power_state == "Running":
            raise is_running(machine, "stop it first, or restore with addresses keep.")
        note_place(draft, machine.resource_id, machine.properties.server)
        for part in changed:
            self._give_up(part)
        for part in changed:
            self._take_back(part)
        self._refuse()
        known = {lower(ref) for ref in refs}
        detached = [
            interface_of(draft, ref) for ref in machine.properties.network_interfaces if lower(ref) not in known
        ]
        report = self._reports(parts, detached)
        for part in parts:
            if part.present is not None and draft.state.machine_of(part.present.resource_id) is None:
                note_addresses(draft, part.present, "moved", f"virtual machine {machine.resource_id}")
        note_place(draft, "", None)
        for interface in detached:
            note_addresses(draft, interface, "moved", f"no longer of virtual machine {machine.resource_id}")
        done = put_machine(draft, machine, network_interfaces=refs)
        return msgspec.structs.replace(done, report=report)

    def _part(self, captured: CapturedInterface) -> _Part:
        """Under its own name, or under another one where an interface of another machine has it now: what an earlier
        restore made so is found again, and what others made is left alone."""
        ref = captured.network_interface.resource_ref if captured.network_interface is not None else ""
        name = ref.rpartition("/")[2]
        for at in range(1, 1000):
            candidate = name if at == 1 else f"{name[:60]}-{at}"
            if at > 1 and candidate.lower() in self._names:
                continue
            present: Interface | None = self._draft.state.get(INTERFACES, candidate)
            owner = self._draft.state.machine_of(candidate)
            called = present.resource_id if present is not None else candidate
            part = _Part(f"/networkInterfaces/{called}", captured, present)
            if owner is None and present is not None and at > 1:
                is_own = self._is_as_captured(part)
            else:
                is_own = owner is None or owner.resource_id == self._machine.resource_id
            if is_own:
                self._names.add(candidate.lower())
                return part
        raise Conflict(f"Every name from {name} on belongs to an interface of another machine.", target=ref)

    def _is_as_captured(self, part: _Part) -> bool:
        if part.present is None:
            return False
        captured, mac = part.captured, mac_of(part.present)
        if captured.mac_address and (mac is None or parse_mac(captured.mac_address) != mac):
            return False
        present = [
            (one.resource_id.lower(), one.properties.private_ip_address, lower(one.properties.subnet))
            for one in part.present.properties.ip_configurations
        ]
        return present == [
            (one.resource_id.lower(), one.private_ip_address, lower(one.subnet)) for one in captured.ip_addresses
        ]

    def _is_contested(self, part: _Part) -> bool:
        """Whether somebody uses an address now that the machine has as well: it could not run with that."""
        state = self._draft.state
        assert part.present is not None
        for place in places_of(state, part.present):
            lease = state.lease(*place)
            if lease is not None and len(lease.holders) > 1:
                own = holder_in(lease, part.ref)
                assert own is not None
                if self._user_of(lease, own)[0]:
                    return True
        return False

    def _give_up(self, part: _Part) -> None:
        """What it has and the checkpoint does not say."""
        if part.present is None:
            return
        wanted = {place for one in part.captured.ip_addresses if (place := captured_place(self._draft.state, one))}
        if part.captured.mac_address:
            wanted.add((MAC_SCOPE, parse_mac(part.captured.mac_address)))
        for scope, address in places_of(self._draft.state, part.present):
            if (scope, address) not in wanted and (scope != MAC_SCOPE or part.captured.mac_address):
                release(self._draft, scope, address, part.ref, self._why)

    def _take_back(self, part: _Part) -> None:
        draft = self._draft
        etag = new_etag(draft.new_id)
        old = part.present
        p = old.properties if old is not None else NetworkInterfaceProperties(private_mac_allocation_method="Dynamic")
        blank = Resource(
            resource_id=part.ref.rpartition("/")[2],
            instance_id=old.instance_id if old is not None else draft.new_id(),
            etag=etag,
            tags=old.tags if old is not None else None,
            resource_metadata=old.resource_metadata if old is not None else self._machine.resource_metadata,
            properties=msgspec.structs.replace(
                p, ip_configurations=tuple(self._configuration(p, one, etag) for one in part.captured.ip_addresses)
            ),
        )
        domain = domain_of(draft.state, blank)
        configurations = tuple(self._take_ip(part, one, domain, blank) for one in blank.properties.ip_configurations)
        digits, method = self._take_mac(part, domain, blank)
        part.after = msgspec.structs.replace(
            blank,
            properties=msgspec.structs.replace(
                blank.properties,
                private_mac_address=digits,
                private_mac_allocation_method=method,
                ip_configurations=configurations,
                learned_ip_addresses=kept_learnt(draft, old, domain, places_in(draft.state, configurations)),
            ),
        )
        draft.put(INTERFACES, part.after.resource_id.lower(), old, part.after)

    def _configuration(self, p: NetworkInterfaceProperties, one: CapturedAddress, etag: str) -> Configuration:
        own = (c for c in p.ip_configurations if c.resource_id.lower() == one.resource_id.lower())
        present = next(own, None)
        properties = IpConfigurationProperties(
            private_ip_address=one.private_ip_address,
            private_ip_allocation_method=one.private_ip_allocation_method,
            subnet=one.subnet,
            is_primary=present.properties.is_primary if present is not None else None,
            public_ip_address=present.properties.public_ip_address if present is not None else None,
            access_control_list=self._list(one, present),
        )
        if present is not None:
            return msgspec.structs.replace(present, etag=etag, properties=properties)
        return Resource(resource_id=one.resource_id, instance_id=self._draft.new_id(), etag=etag, properties=properties)

    def _list(self, one: CapturedAddress, present: Configuration | None) -> Ref | None:
        """What filters it is no state of the machine: as it is now; of one that was deleted as it was, if there is."""
        if present is not None:
            return present.properties.access_control_list
        ref = one.access_control_list
        return ref if ref is not None and self._draft.state.find_ref(ref.resource_ref) is not None else None

    def _take_ip(self, part: _Part, one: Configuration, domain: str, interface: Interface) -> Configuration:
        p = one.properties
        captured = CapturedAddress(private_ip_address=p.private_ip_address, subnet=p.subnet)
        place = captured_place(self._draft.state, captured)
        if place is None or not self._taken(part, place, domain):
            return one
        segment = self._draft.state.segment(p.subnet.resource_ref) if p.subnet is not None else None
        assert segment is not None
        origin = self._origin(part, interface)
        holder = Holder("networkInterface", part.ref, domain, True)
        fresh = grant_ip(self._draft, segment, holder, origin, self._instead(place))
        text = address_text(segment.scope, fresh)
        properties = msgspec.structs.replace(p, private_ip_address=text, private_ip_allocation_method="Dynamic")
        return msgspec.structs.replace(one, properties=properties)

    def _take_mac(self, part: _Part, domain: str, interface: Interface) -> tuple[str | None, str]:
        """Digits and allocation method. A checkpoint from before it had an address leaves it what it has."""
        text = part.captured.mac_address or interface.properties.private_mac_address
        if not text:
            return None, part.captured.private_mac_allocation_method
        mac = parse_mac(text)
        if not self._taken(part, (MAC_SCOPE, mac), domain):
            return mac_digits(mac), part.captured.private_mac_allocation_method
        origin = self._origin(part, interface)
        holder = Holder("networkInterface", part.ref, domain, True)
        return mac_digits(grant_mac(self._draft, holder, origin, self._instead((MAC_SCOPE, mac)))), "Dynamic"

    def _origin(self, part: _Part, interface: Interface) -> Origin:
        """Where fresh addresses come from, also for an interface that the machine does not have at present."""
        state = self._draft.state
        return origin_on(state, interface, part.present, server_named(state, self._machine.properties.server))

    def _instead(self, place: Place) -> str:
        return f"instead of {address_text(*place)} of {self._ref}"

    def _taken(self, part: _Part, place: Place, domain: str) -> bool:
        """Take an address back; whether it must be replaced, since it cannot be had."""
        draft = self._draft
        lease = draft.lease(*place)
        assert lease is not None
        own = holder_in(lease, part.ref)
        held = own or holder_in(lease, self._ref)
        assert held is not None
        holder = Holder("networkInterface", part.ref, domain, held.granted)
        user, target = self._user_of(lease, holder)
        if user and not self._remap:
            text = f"{address_text(*place)} of {self._ref} cannot come back to {part.ref}: {user} has it."
            refusal = Conflict(text, code="AddressesTaken", target=target)
            about(refusal, *place, part.ref)
            self._refusals.append(refusal)
            self._ways[_GIVE if target.startswith("/servers/") and f"/{OFF}/" in target else _STOP] = None
            return False
        if user:
            part.remapped = True
            if own is not None:
                release(draft, *place, part.ref, f"in use by {target}")
            return True
        if own is None or own.domain != domain:
            hold_twin(draft, *place, holder, self._why)
        return False

    def _refuse(self) -> None:
        """Name all that stands in the way at once. Raises Conflict (AddressesTaken)."""
        if self._refusals:
            first = self._refusals[0]
            first.message = " ".join(dict.fromkeys(one.message for one in self._refusals))
            first.message += f" {' '.join(self._ways)} Or restore with ifTaken remap, or addresses keep."
            first.args = (first.message,)
            raise first

    def _user_of(self, lease: Lease, holder: Holder) -> tuple[str, str]:
        """Who keeps an address from its holder here: a user of it in its L2 domain now, or what may have no twin."""
        state = self._draft.state
        for other in lease.holders:
            # a reservation beside a capture is the one that the interface had the address from
            if other.ref.lower() == holder.ref.lower() or other.kind in (*CAPTURES, "reservation"):
                continue
            if lease.scope == MAC_SCOPE and not share_domain(state, other, holder):
                continue
            if other.kind not in ("networkInterface", "port"):
                return other.ref, other.ref
            if is_off(other) and holder_in(lease, holder.ref) is None:
                name, host = other.ref.rpartition("/")[2], other.ref.split("/")[2]
                return f"{name} on {host}, a machine that is off and none of ours,", other.ref
            user, target = user_of(state, other)
            if user:
                return user, target
        return "", ""

    def _reports(self, parts: list[_Part], detached: list[Interface]) -> tuple[Restored, ...]:
        report = []
        for part in parts:
            kept = part.after is part.present
            outcome = "kept" if kept else "remapped" if part.remapped else "restored"
            report.append(restored(self._draft.state, part.present, part.after, outcome))
        return (*report, *(restored(self._draft.state, one, None, "detached") for one in detached))
