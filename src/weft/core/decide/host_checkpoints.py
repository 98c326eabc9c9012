"""NoteCheckpoints: the checkpoints that a machine's hypervisor has are checkpoints of the ledger, which hold what would
come back with them, whoever made them.

Called through core.decide by control.behind. A checkpoint is known by the hypervisor's id of it; one that was asked for
through Weft is found by its name, the first time. One that the host has no more gives up what it held. One that the
ledger alone has, and no host ever had, is left alone.
"""

from collections.abc import Mapping

import msgspec

from weft.core.commands import Decision
from weft.core.decide.captures import Capture, captured, captured_places, store_capture
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.holding import holder_in, release, retain
from weft.core.decide.ip_configurations import Interface, Place
from weft.core.decide.machines import Machine, machine_named, note_place, unchanged
from weft.core.decide.places import domain_of, places_of
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.host_facts import NoteCheckpoints
from weft.core.index import last_id
from weft.core.naming import slug, suffixed
from weft.core.state import State
from weft.model.hypervisor import CheckpointState
from weft.model.kinds import CHECKPOINTS, is_own, owned_id, owner_and_name, resource_ref
from weft.model.leases import Holder
from weft.model.resources import Ref
from weft.model.values import mac_dashes
from weft.model.workload import CapturedInterface


def note_checkpoints(draft: Draft, command: NoteCheckpoints) -> Decision:
    """Answers the machine. Raises NotFound."""
    machine = machine_named(draft.state, command.machine)
    note_place(draft, machine.resource_id, machine.properties.server)
    known, named = checkpoints_of(draft.state, machine)
    there = _Notes(draft, machine)
    for told in command.checkpoints:
        old = known.get(told.id.lower()) or named.pop(slug(told.name).lower(), None)
        if old is None:
            there.make(told)
        else:
            there.follow(old, told)
    kept = {told.id.lower() for told in command.checkpoints}
    for own, capture in known.items():
        if own not in kept:
            there.forget(capture, f"{command.server} has it no more")
    if draft.is_empty():
        return unchanged(machine)
    return Decision(changes=draft.changes(), outcome="done", resource=machine)


def checkpoints_of(state: State, machine: Machine) -> tuple[dict[str, Capture], dict[str, Capture]]:
    """Of a machine: by the hypervisor's id, and those without one by name; both lower case."""
    known: dict[str, Capture] = {}
    named: dict[str, Capture] = {}
    for capture in state.owned(CHECKPOINTS.name, machine.resource_id):
        name = owner_and_name(capture.resource_id)[1].lower()
        if capture.properties.hypervisor_id:
            known[capture.properties.hypervisor_id.lower()] = capture
        elif not is_own(name):
            named[name] = capture
    return known, named


class _Notes:
    """One machine's checkpoints becoming what its host says."""

    def __init__(self, draft: Draft, machine: Machine) -> None:
        self._draft = draft
        self._machine = machine
        self._interfaces = interfaces_of(draft.state, machine)

    def make(self, told: CheckpointState) -> None:
        name = slug(told.name)
        if is_own(name):
            name = suffixed(f"of-{name}", told.id)
        if self._draft.get(CHECKPOINTS.name, self._id(name)) is not None:
            name = suffixed(name, told.id)
        power = "Running" if told.running else "Off"
        interfaces = self._captured(told)
        made = store_capture(self._draft, CHECKPOINTS, self._id(name), interfaces, power)
        self._store(made, hypervisor_id=told.id)
        self._hold(made, interfaces)

    def follow(self, old: Capture, told: CheckpointState) -> None:
        """What it holds now: it may have been rewritten there. Its own interfaces and their IP addresses stay."""
        macs = {one.resource_id.lower(): adapter.mac for one, adapter in fitted(self._interfaces, told.adapters)}
        interfaces = tuple(_with_mac(one, macs) for one in old.properties.network_interfaces)
        if interfaces == old.properties.network_interfaces and old.properties.hypervisor_id:
            return
        ref = resource_ref(CHECKPOINTS, old.resource_id)
        wanted = self._places(interfaces)
        for place in self._places(old.properties.network_interfaces):
            if place not in wanted:
                release(self._draft, *place, ref, f"{ref} was rewritten")
        self._store(old, network_interfaces=interfaces, hypervisor_id=told.id)
        self._hold(old, interfaces)

    def forget(self, capture: Capture, why: str) -> None:
        ref = resource_ref(CHECKPOINTS, capture.resource_id)
        for place in self._places(capture.properties.network_interfaces):
            release(self._draft, *place, ref, f"{ref}: {why}")
        self._draft.put(CHECKPOINTS.name, capture.resource_id.lower(), capture, None)

    def _id(self, name: str) -> str:
        return owned_id(self._machine.resource_id, name)

    def _store(self, capture: Capture, **properties: object) -> None:
        changed = msgspec.structs.replace(capture.properties, **properties)
        after = msgspec.structs.replace(capture, etag=new_etag(self._draft.new_id), properties=changed)
        self._draft.put(CHECKPOINTS.name, capture.resource_id.lower(), capture, after)

    def _captured(self, told: CheckpointState) -> tuple[CapturedInterface, ...]:
        """As the interfaces are now, but for the MAC addresses that the checkpoint has. An adapter that the machine has
        no interface for keeps its address all the same."""
        pairs = fitted(self._interfaces, told.adapters)
        found = [_with_mac(captured(one), {one.resource_id.lower(): adapter.mac}) for one, adapter in pairs]
        known = [adapter for _, adapter in pairs]
        for at, adapter in enumerate(told.adapters):
            if adapter.mac and adapter not in known:
                name = f"{self._machine.resource_id[:58]}-eth{at}"
                found.append(_with_mac(CapturedInterface(network_interface=_ref(name)), {name.lower(): adapter.mac}))
        return tuple(found)

    def _places(self, interfaces: tuple[CapturedInterface, ...]) -> dict[Place, None]:
        return {place: None for one in interfaces for place in captured_places(self._draft.state, one)}

    def _hold(self, capture: Capture, interfaces: tuple[CapturedInterface, ...]) -> None:
        ref = resource_ref(CHECKPOINTS, capture.resource_id)
        by_id = {one.resource_id.lower(): one for one in self._interfaces}
        for one in interfaces:
            own = last_id(one.network_interface)
            interface = by_id.get(own)
            for place in captured_places(self._draft.state, one):
                lease = self._draft.lease(*place)
                if holder_in(lease, ref) is None:
                    retain(self._draft, *place, self._holder(ref, interface, place), f"of /networkInterfaces/{own}")

    def _holder(self, ref: str, interface: Interface | None, place: Place) -> Holder:
        """As the interface holds it, where it does; else in its L2 domain, for that is where it would come back."""
        if interface is None:
            return Holder("checkpoint", ref)
        own = f"/networkInterfaces/{interface.resource_id}"
        held = holder_in(self._draft.lease(*place), own) if place in places_of(self._draft.state, interface) else None
        domain = held.domain if held is not None else domain_of(self._draft.state, interface)
        return Holder("checkpoint", ref, domain, held.granted if held is not None else False)


def _ref(interface: str) -> Ref:
    return Ref(resource_ref=f"/networkInterfaces/{interface}")


def _with_mac(one: CapturedInterface, macs: Mapping[str, int]) -> CapturedInterface:
    """With the MAC address that its adapter has in the checkpoint; zeros are none."""
    mac = macs.get(last_id(one.network_interface))
    if mac is None:
        return one
    text = mac_dashes(mac) if mac else ""
    return one if text == one.mac_address else msgspec.structs.replace(one, mac_address=text)
