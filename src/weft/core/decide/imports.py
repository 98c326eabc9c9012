"""ImportMachine: a machine made elsewhere comes in with its addresses, or with fresh ones, and with its checkpoints.

`keep` may make a twin of what is here already, so the machine is Off unless nobody uses its addresses. `adopt` notes a
machine that runs whatever we say: nothing is granted and nothing refused, and clashes are shown as conflicts. Where the
hypervisor's id of it is named, its server has it already, and ports that are seen there with its addresses are its own.
Called through core.decide by the API, `weft import` behind it.
"""

from collections.abc import Iterator

import msgspec

from weft.core.commands import Decision
from weft.core.copy_commands import ImportedCheckpoint, ImportedInterface, ImportMachine
from weft.core.decide.bindings import check_twins, is_port_of, server_with_id
from weft.core.decide.captures import captured_place, captured_places, store_capture
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.granting import ANYWHERE, Origin
from weft.core.decide.holding import (
    CAPTURES,
    about,
    can_meet,
    check_rest,
    grant_ip,
    grant_mac,
    hold_twin,
    others_of,
    retain,
    why_excluded,
)
from weft.core.decide.ip_configurations import Configuration, Interface, Place
from weft.core.decide.machine_copies import free_interface_name, refs_of, store_interface, store_machine
from weft.core.decide.machines import check_free_name, machine_ref, note_place
from weft.core.decide.network_interfaces import captures_of
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.parsing import ip_of
from weft.core.decide.virtual_machines import power_named
from weft.core.index import lower
from weft.core.macs import why_forbidden
from weft.core.pools import Segment, why_in
from weft.core.state import State
from weft.core.words import address_text, hold_text, see_subnets
from weft.model.errors import AddressInUse, Conflict, Invalid, InvalidMacAddress, InvalidReference, Refusal
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES, owned_id, resource_ref
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.resources import Ref, Resource
from weft.model.values import IpAddress, mac_dashes, mac_digits, parse_mac
from weft.model.workload import (
    CapturedAddress,
    CapturedInterface,
    HypervisorIdentity,
    IpConfigurationProperties,
    NetworkInterfaceProperties,
    VirtualMachineProperties,
)

_WAYS = ("keep", "new", "newIfTaken")


def import_machine(draft: Draft, command: ImportMachine) -> Decision:
    """Answers the machine. Raises Invalid, InvalidReference, Conflict (AlreadyExists, ActiveTwin), AddressInUse,
    PoolIsFull; with `adopt` only what is wrong with the request itself."""
    check_free_name(draft, VIRTUAL_MACHINES, command.name, command.name)
    if command.addresses not in _WAYS:
        raise Invalid(f"addresses is keep, new or newIfTaken, not '{command.addresses}'.", target="addresses")
    power = power_named(command.power)
    server = server_with_id(draft.state, command.server) if command.server else None
    if server is None and power == "Running":
        raise Invalid(f"Virtual machine {command.name} cannot run without a server.", target="server")
    if not command.adopt:
        _check_unknown(draft.state, command.hypervisor)
    place = Ref(resource_ref=f"/servers/{server.resource_id}") if server is not None else None
    note_place(draft, command.name, place)
    origin = ANYWHERE
    if server is not None:
        origin = Origin(host_group=server.properties.host_group.lower(), server=server.resource_id.lower())
    entry = _Entry(draft, command, origin)
    interfaces = [entry.interface(at, one) for at, one in enumerate(command.interfaces)]
    properties = VirtualMachineProperties(
        server=place, network_interfaces=refs_of(interfaces), power_state=power, hypervisor=command.hypervisor
    )
    if not command.adopt:
        if server is not None:
            check_place(draft, server, refs_of(interfaces))
            ensure_provider_addresses(draft, server)
        if power == "Running":
            check_twins(draft, command.name, properties, entry.there)
    for checkpoint in command.checkpoints:
        entry.checkpoint(checkpoint)
    return store_machine(draft, command.name, properties)


class _Entry:
    """One machine that comes in."""

    def __init__(self, draft: Draft, command: ImportMachine, origin: Origin) -> None:
        self._draft = draft
        self._state = draft.state
        self._command = command
        self._origin = origin
        self._own = captures_of(draft.state, command.name)
        self._way = "adopt" if command.adopt else command.addresses
        known = command.hypervisor is not None and bool(command.hypervisor.id)
        self.there = origin.server if known else ""
        """The server, lower case, whose hypervisor has it already."""

    def interface(self, at: int, sent: ImportedInterface) -> Interface:
        """Its adapter number `at`, with the addresses that it comes to have."""
        name = free_interface_name(self._draft, self._name(at))
        segment = _segment(self._state, sent.subnet)
        domain = segment.domain if segment is not None else ""
        ref = f"/networkInterfaces/{name}"
        configurations = tuple(self._configurations(sent, segment, Holder("networkInterface", ref, domain)))
        mac, method = self._mac(sent, Holder("networkInterface", ref, domain))
        properties = NetworkInterfaceProperties(
            private_mac_address=mac_digits(mac) if mac is not None else None,
            private_mac_allocation_method=method,
            ip_configurations=configurations,
        )
        return store_interface(self._draft, Resource(resource_id=name, properties=properties))

    def checkpoint(self, sent: ImportedCheckpoint) -> None:
        """Note a checkpoint that came along, and let it hold what it names."""
        own = owned_id(self._command.name, sent.name)
        check_free_name(self._draft, CHECKPOINTS, own, sent.name)
        captured = [self._captured(at, one) for at, one in enumerate(sent.interfaces)]
        store_capture(self._draft, CHECKPOINTS, own, tuple(one for one, _ in captured), "Off")
        for one, domain in captured:
            holder = Holder("checkpoint", resource_ref(CHECKPOINTS, own), domain)
            subnets = {captured_place(self._state, each): lower(each.subnet) for each in one.ip_addresses}
            for place in captured_places(self._state, one):
                if not self._command.adopt:
                    self._check(place, holder, self._state.segment(subnets.get(place, "")))
                retain(self._draft, *place, holder, f"came with {self._command.name}")

    def _name(self, at: int) -> str:
        return f"{self._command.name}-eth{at}"

    def _mac(self, sent: ImportedInterface, holder: Holder) -> tuple[int | None, str]:
        """The address and its allocation method. No address, or one of zeros, is none yet: a real one is granted,
        unless the machine is only noted as it is."""
        asked = _asked(sent.mac_address)
        if asked is not None and self._take((MAC_SCOPE, asked), holder):
            return asked, "Static"
        if self._way == "adopt":
            return None, "Dynamic"
        granted = msgspec.structs.replace(holder, granted=True)
        return grant_mac(self._draft, granted, self._origin, self._instead(sent.mac_address)), "Dynamic"

    def _configurations(
        self, sent: ImportedInterface, segment: Segment | None, holder: Holder
    ) -> Iterator[Configuration]:
        if segment is None:
            if sent.ip_addresses and not self._command.adopt:
                raise Invalid("ipAddresses need the subnet that they are in.", code="SubnetIsRequired", target="subnet")
            return
        for at, address in enumerate(_addresses(sent), 1):
            own = _of_family(self._state, segment, address.version)
            place = (own.scope, int(address))
            if self._way == "new" or not self._take(place, holder, own):
                yield self._granted(at, own, holder, str(address))
            else:
                yield _configuration(at, own, "Static", address_text(*place))
        if not sent.ip_addresses:
            yield self._without_address(segment, holder)

    def _without_address(self, segment: Segment, holder: Holder) -> Configuration:
        if not segment.version or not (segment.virtual or segment.virtualized):
            return _configuration(1, segment, "Unmanaged", None)
        if self._command.adopt:
            return _configuration(1, segment, "Dynamic", None)
        return self._granted(1, segment, holder, "")

    def _granted(self, at: int, segment: Segment, holder: Holder, instead_of: str) -> Configuration:
        granted = msgspec.structs.replace(holder, granted=True)
        address = grant_ip(self._draft, segment, granted, self._origin, self._instead(instead_of))
        return _configuration(at, segment, "Dynamic", address_text(segment.scope, address))

    def _instead(self, text: str) -> str:
        return f"imported, instead of {text}" if text else "imported"

    def _take(self, place: Place, holder: Holder, segment: Segment | None = None) -> bool:
        """Take an address that came along, if it is to be kept and can be."""
        if self._way == "adopt":
            hold_twin(self._draft, *place, holder, "adopted")
            return True
        if self._way == "new":
            return False
        try:
            self._check(place, holder, segment)
            if self._way == "newIfTaken":
                self._check_alone(place, holder)
        except AddressInUse:
            if self._way == "newIfTaken":
                return False
            raise
        hold_twin(self._draft, *place, holder, "imported")
        return True

    def _check(self, place: Place, holder: Holder, segment: Segment | None = None) -> None:
        """Whether an address may be held at all, a twin or not. Raises Invalid, AddressInUse."""
        try:
            self._check_valid(place, segment)
            lease = self._draft.lease(*place)
            if lease is None:
                return
            check_rest(self._draft, lease, holder)
            for other in self._others(lease, holder):
                if other.kind != "networkInterface" and other.kind not in CAPTURES:
                    if can_meet(self._state, other, holder):
                        raise AddressInUse(f"{hold_text(self._state, lease, other)}. Import it with addresses new.")
        except Refusal as refusal:
            raise about(refusal, *place, holder.ref) from None

    def _check_valid(self, place: Place, segment: Segment | None) -> None:
        scope, address = place
        text = address_text(scope, address)
        why = why_forbidden(address) if scope == MAC_SCOPE else ""
        if why:
            raise InvalidMacAddress(text, why)
        if segment is not None and not segment.first <= address <= segment.last:
            raise Invalid(f"{text} does not lie in {segment.ref}.", code="PrivateIPAddressNotInSubnet")
        why = why_in(segment.reserved, address) if segment is not None else ""
        if why and segment is not None:
            raise Invalid(f"{text} is {why} of {segment.ref}.", code="PrivateIPAddressInReservedRange")
        why = why_excluded(self._draft, scope, address) if self._draft.lease(scope, address) is None else ""
        if why:
            raise AddressInUse(f"{why}.")

    def _check_alone(self, place: Place, holder: Holder) -> None:
        """Taken is what anybody has but the captures of a machine of this name. Raises AddressInUse."""
        lease = self._draft.lease(*place)
        for other in self._others(lease, holder) if lease is not None else ():
            if other.ref.lower() not in self._own and (place[0] != MAC_SCOPE or can_meet(self._state, other, holder)):
                raise AddressInUse("Somebody has it.")

    def _others(self, lease: Lease, holder: Holder) -> Iterator[Holder]:
        """Who else has an address, but for the machine itself as its own server sees it."""
        for other in others_of(lease, holder.ref):
            if not (self.there and is_port_of(other, self.there)):
                yield other

    def _captured(self, at: int, sent: ImportedInterface) -> tuple[CapturedInterface, str]:
        """As a checkpoint stores it, and its L2 domain: where it says no subnet, that of the machine's adapter."""
        interfaces = self._command.interfaces
        subnet = sent.subnet or (interfaces[at].subnet if at < len(interfaces) else "")
        segment = _segment(self._state, subnet)
        mac = _asked(sent.mac_address)
        addresses = []
        for number, address in enumerate(_addresses(sent) if segment is not None else (), 1):
            assert segment is not None
            own = _of_family(self._state, segment, address.version)
            addresses.append(
                CapturedAddress(
                    resource_id=f"ip{number}",
                    private_ip_address=str(address),
                    private_ip_allocation_method="Static",
                    subnet=Ref(resource_ref=own.ref),
                )
            )
        captured = CapturedInterface(
            network_interface=Ref(resource_ref=f"/networkInterfaces/{self._name(at)}"),
            mac_address=mac_dashes(mac) if mac is not None else "",
            private_mac_allocation_method="Static" if mac is not None else "Dynamic",
            ip_addresses=tuple(addresses),
        )
        return captured, segment.domain if segment is not None else ""


def _check_unknown(state: State, hypervisor: HypervisorIdentity | None) -> None:
    """Refuse the hypervisor's id of a machine that is here already. Raises Conflict."""
    keys = state.index.hypervised.get(hypervisor.id.lower(), ()) if hypervisor is not None and hypervisor.id else ()
    for known in filter(None, (state.get(VIRTUAL_MACHINES.name, key) for key in keys)):
        assert hypervisor is not None
        raise Conflict(
            f"The hypervisor's machine {hypervisor.id} is {machine_ref(known.resource_id)} already. A copy of it must "
            "have an id of its own to be imported: define it without the uuid, or register it as a copy.",
            code="AlreadyExists",
            target=machine_ref(known.resource_id),
        )


def _asked(text: str) -> int | None:
    """None for no address, and for zeros, which say that none is assigned yet. Raises InvalidMacAddress."""
    try:
        return parse_mac(text) or None if text else None
    except InvalidMacAddress as wrong:
        wrong.target = "macAddress"
        raise


def _addresses(sent: ImportedInterface) -> list[IpAddress]:
    """Each once. Raises Invalid."""
    every = (ip_of(text, "ipAddresses", "InvalidPrivateIPAddressFormat") for text in sent.ip_addresses)
    return list(dict.fromkeys(every))


def _segment(state: State, ref: str) -> Segment | None:
    if not ref:
        return None
    found = state.segment(ref)
    if found is None:
        raise InvalidReference(f"There is no subnet {ref}{see_subnets(state, ref)}.", target="subnet")
    return found


def _of_family(state: State, segment: Segment, version: int) -> Segment:
    """The subnet itself, or its dual-stack partner for an address of the other family. Raises Invalid."""
    if segment.version == version:
        return segment
    network = state.find_ref(segment.network)
    for subnet in network.properties.subnets if network is not None and segment.virtual else ():
        other = state.segment(f"{segment.network}/subnets/{subnet.resource_id}")
        if other is not None and other.version == version and other.domain == segment.domain:
            return other
    raise Invalid(
        f"{segment.ref} has no IPv{version} addresses.", code="PrivateIPAddressNotInSubnet", target="ipAddresses"
    )


def _configuration(at: int, segment: Segment, method: str, address: str | None) -> Configuration:
    properties = IpConfigurationProperties(
        private_ip_address=address,
        private_ip_allocation_method=method,
        subnet=Ref(resource_ref=segment.ref),
    )
    return Resource(resource_id=f"ip{at}", properties=properties)
