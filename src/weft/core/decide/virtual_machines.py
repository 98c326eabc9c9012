"""PUT and DELETE of virtualMachines: interfaces bound to a server, or a template. Power and moves have their own files.

A template names networks instead of interfaces, so it holds no address.
"""

from weft.core.decide.bindings import check_twins, interface_of, mark_addresses, note_addresses, server_named
from weft.core.decide.captures import remove_checkpoints
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.granting import STRATEGIES
from weft.core.decide.hardware import checked_hardware
from weft.core.decide.holding import holder_in
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.machines import Machine, being_made, is_running, moving, note_place
from weft.core.decide.network_interfaces import give_macs
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.places import mac_of
from weft.core.index import last_id
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import see_subnets
from weft.model.errors import Conflict, Invalid, InvalidReference
from weft.model.leases import MAC_SCOPE
from weft.model.resources import Ref, common_ref
from weft.model.workload import TemplateNetwork, VirtualMachineProperties

POWER_STATES = {"off": "Off", "running": "Running", "saved": "Saved"}


def settle(draft: Draft, sent: Machine, old: Machine | None) -> VirtualMachineProperties:
    """The properties as they will be stored. Raises a Refusal. Power is taken at creation only."""
    p = sent.properties
    if old is not None and old.properties.is_template != p.is_template:
        raise Invalid(
            "isTemplate is fixed when the machine is created: clone a template from a machine, or a machine from a "
            "template.",
            code="IsTemplateCannotBeUpdated",
            target="isTemplate",
        )
    server = server_named(draft.state, p.server)
    place = common_ref(f"/servers/{server.resource_id}") if server is not None else None
    if p.is_template:
        return _template(draft, sent, place)
    if p.networks:
        raise Invalid("Only a template has networks: name networkInterfaces.", target="networks")
    settled = VirtualMachineProperties(
        server=place,
        network_interfaces=_interfaces(draft.state, sent),
        hypervisor=p.hypervisor or (old.properties.hypervisor if old is not None else None),
        hardware=checked_hardware(p.hardware),
        power_state=power_named(p.power_state) if old is None else old.properties.power_state,
        move=old.properties.move if old is not None else None,
        inactive=_inactive(old, place),
        creation=old.properties.creation if old is not None else None,
        errand=old.properties.errand if old is not None else None,
        made_as=old.properties.made_as if old is not None else "",
    )
    if old is not None:
        _check_change(old, settled)
    note_place(draft, sent.resource_id, place)
    # an adopted machine may wait for the address that its own host will draw: nothing is granted until it is bound anew
    if old is None or old.properties.server != place or old.properties.network_interfaces != settled.network_interfaces:
        check_place(draft, server, settled.network_interfaces)
        give_macs(draft, settled.network_interfaces, server)
    if settled.power_state == "Running":
        _check_runs(draft, sent.resource_id, old, settled)
    if server is not None:
        ensure_provider_addresses(draft, server)
    _note(draft, sent.resource_id, old, settled)
    return settled


def _check_runs(draft: Draft, name: str, old: Machine | None, settled: VirtualMachineProperties) -> None:
    if settled.server is None:
        raise Invalid(f"Virtual machine {name} cannot run without a server.", target="server")
    # an adopted machine may run beside a twin already; what does not concern its interfaces is not refused for that
    if old is None or old.properties.network_interfaces != settled.network_interfaces:
        check_twins(draft, name, settled)


def remove(draft: Draft, old: Machine) -> None:
    """At any power: the host stops it. Its interfaces stay, with their addresses, its checkpoints go along. Refused
    while it moves."""
    if old.properties.move is not None:
        raise moving(old)
    note_place(draft, old.resource_id, old.properties.server)
    remove_checkpoints(draft, old.resource_id)
    _note(draft, old.resource_id, old, None)


_LAB = "lab"
"""The hypervisor whose machines are made when they start and gone with their records."""


def check_gone_with(machine: Machine) -> None:
    """Refuse to forget a machine that its host would let run on, with addresses that nobody holds any more: one that
    was taken in bears no mark of ours, so its host leaves it alone. Raises Conflict (MachineIsRunning)."""
    p, known = machine.properties, machine.properties.hypervisor
    is_ours = p.hardware is not None or p.made_as or known is None or not known.id or known.type == _LAB
    if p.power_state == "Running" and not (is_ours or p.inactive):
        name = machine.resource_id
        raise is_running(
            machine,
            "it was taken in, so its host would let it run on with addresses that nobody holds. Stop it first (weft vm "
            f"stop {name}), or give it up as it runs, with force (weft vm delete {name} --force).",
        )


def power_named(text: str) -> str:
    """A power state in canonical spelling. Raises Invalid."""
    power = POWER_STATES.get(text.lower())
    if power is None:
        raise Invalid(f"powerState is Off, Running or Saved, not '{text}'.", target="powerState")
    return power


def note_arrival(draft: Draft, machine: Machine, server: Ref | None, reason: str) -> None:
    """Tell the history of all addresses of a machine that it is on another server now, which knows it."""
    note_place(draft, machine.resource_id, server)
    for ref in machine.properties.network_interfaces:
        interface = interface_of(draft, ref)
        if machine.properties.inactive:
            mark_addresses(draft, interface, 0.0, reason)
        note_addresses(draft, interface, "moved", reason)


def networks_of(draft: Draft, interfaces: tuple[Ref, ...]) -> tuple[TemplateNetwork, ...]:
    """The networks that a template has of some interfaces: each one's subnet, or its dual-stack pair."""
    found = []
    for ref in interfaces:
        p = interface_of(draft, ref).properties
        subnets = list(dict.fromkeys(one.properties.subnet for one in p.ip_configurations))
        subnet, pair = (*subnets, None, None)[:2]
        found.append(TemplateNetwork(subnet=subnet, dual_stack_subnet=pair, strategy=p.strategy))
    return tuple(found)


def _template(draft: Draft, sent: Machine, place: Ref | None) -> VirtualMachineProperties:
    """It binds nothing: of the interfaces that it names, which may be another's, only the subnets are read."""
    p = sent.properties
    if power_named(p.power_state) != "Off":
        raise Invalid("A template is never started: leave powerState out.", target="powerState")
    networks = [_checked(draft.state, network) for network in p.networks]
    return VirtualMachineProperties(
        server=place,
        hypervisor=p.hypervisor,
        is_template=True,
        networks=(*networks, *networks_of(draft, _interfaces(draft.state, sent))),
    )


def _checked(state: State, network: TemplateNetwork) -> TemplateNetwork:
    """In canonical spelling. Raises Invalid, InvalidReference."""
    strategy = STRATEGIES.get(network.strategy.lower())
    if strategy is None:
        raise Invalid(f"strategy is central, hostRange or random, not '{network.strategy}'.", target="strategy")
    subnet = _segment(state, network.subnet, "subnet")
    pair = _segment(state, network.dual_stack_subnet, "dualStackSubnet")
    if pair is not None and (subnet is None or pair is subnet or pair.domain != subnet.domain):
        raise Invalid(
            f"{pair.ref} is not the dual-stack pair of {subnet.ref if subnet is not None else 'a subnet named here'}.",
            target="dualStackSubnet",
        )
    return TemplateNetwork(subnet=_named(subnet), dual_stack_subnet=_named(pair), strategy=strategy)


def _segment(state: State, subnet: Ref | None, target: str) -> Segment | None:
    """Raises InvalidReference."""
    if subnet is None or not subnet.resource_ref:
        return None
    segment = state.segment(subnet.resource_ref)
    if segment is None:
        ref = subnet.resource_ref
        raise InvalidReference(f"There is no subnet {ref}{see_subnets(state, ref)}.", target=target)
    return segment


def _named(segment: Segment | None) -> Ref | None:
    return Ref(resource_ref=segment.ref) if segment is not None else None


def _inactive(old: Machine | None, place: Ref | None) -> str:
    """Bound to another server, a machine that its host had forgotten is like any other."""
    if old is None or (place is not None and last_id(place) != last_id(old.properties.server)):
        return ""
    return old.properties.inactive


def _interfaces(state: State, sent: Machine) -> tuple[Ref, ...]:
    """The references in canonical spelling, each to an interface of no other machine, none twice."""
    refs: list[Ref] = []
    for ref in sent.properties.network_interfaces:
        path = ref.resource_ref.lower()
        name = last_id(ref)
        found = state.get("networkInterfaces", name) if path == f"/networkinterfaces/{name}" else None
        if found is None:
            raise InvalidReference(
                f"There is no network interface '{ref.resource_ref}': create it first.", target="networkInterfaces"
            )
        canonical = Ref(resource_ref=_text_of(state, found))
        if canonical in refs:
            raise Invalid(f"{canonical.resource_ref} is named twice.", target="networkInterfaces")
        other = state.machine_of(name)
        taken = other is not None and other.resource_id.lower() != sent.resource_id.lower()
        if other is not None and taken and not sent.properties.is_template:
            raise Conflict(
                f"{canonical.resource_ref} belongs to /weft/virtualMachines/{other.resource_id}: create another "
                "interface, or take it from there first.",
                code="NicInUse",
                target="networkInterfaces",
            )
        refs.append(canonical)
    return tuple(refs)


def _text_of(state: State, interface: Interface) -> str:
    """The reference of an interface: the text that its MAC address's holder has, where there is one."""
    text = f"/networkInterfaces/{interface.resource_id}"
    mac = mac_of(interface)
    held = holder_in(state.lease(MAC_SCOPE, mac), text) if mac is not None else None
    return held.ref if held is not None and held.ref == text else text


def _check_change(old: Machine, new: VirtualMachineProperties) -> None:
    before = old.properties
    moved = last_id(before.server) != last_id(new.server)
    if before.creation is not None and (moved or before.network_interfaces != new.network_interfaces):
        raise being_made(old)
    if before.move is not None and (moved or before.network_interfaces != new.network_interfaces):
        raise moving(old)
    if moved and before.power_state == "Running":
        raise is_running(old, "move it with its migrate action, or stop it first.", target="server")


def _note(draft: Draft, name: str, old: Machine | None, new: VirtualMachineProperties | None) -> None:
    """Tell the history of every address which machine and host it comes to or leaves."""
    before = old.properties if old is not None else VirtualMachineProperties()
    after = new if new is not None else VirtualMachineProperties()
    moved = last_id(before.server) != last_id(after.server)
    for ref in before.network_interfaces:
        if ref not in after.network_interfaces:
            note_place(draft, "", None)
            _note_one(draft, ref, bool(before.inactive), f"no longer of virtual machine {name}")
    note_place(draft, name, after.server)
    for ref in after.network_interfaces:
        if moved or ref not in before.network_interfaces:
            known_again = bool(before.inactive) and not after.inactive and ref in before.network_interfaces
            _note_one(draft, ref, known_again, f"virtual machine {name}")


def _note_one(draft: Draft, ref: Ref, known_again: bool, reason: str) -> None:
    interface = interface_of(draft, ref)
    if known_again:
        mark_addresses(draft, interface, 0.0, reason)
    note_addresses(draft, interface, "moved", reason)
