"""Which port of the switch belongs to which interface, and whether its machine is here, coming or gone. Pure.

A port belongs to a binding if its external_ids:iface-id is the interface's instance id and its attached-mac the
interface's MAC; anything else stays closed and is reported. virt-clone copies iface-id, so the MAC must agree too; a
copy by hand has both: where the switch says which machine a port is of (vm-id, from libvirt), that must be the one.
A machine that was taken in while it runs has ports with other iface-ids, which nothing changes before its next start:
there vm-id and attached-mac say it.
"""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from weft.agent.switch import SwitchFacts, SwitchPort
from weft.model.hypervisor import MachineState
from weft.model.records import Machine, PortAccess, PortBinding, PortLearning, PortLimits, SegmentPort
from weft.model.values import PackedIp, mac_dashes
from weft.wire.messages import PortFact

BOUND, ABSENT, CLOSED = "bound", "absent", "closed"


class Role(enum.Enum):
    """Where the machine of a bound interface is."""

    HERE = 1
    COMING = 2
    """It will move here: the port takes what others send, but neighbours on this host still reach it elsewhere."""
    GONE = 3
    """It moved away, or its hypervisor hands it over: what still arrives goes on to `forward_to`."""
    IDLE = 4
    """It does not run. Where another one with its addresses does, here or elsewhere, neighbours reach that one."""


class Local(msgspec.Struct, frozen=True):
    """An interface that this host has a binding for."""

    binding: PortBinding
    port: SwitchPort | None
    """Its port; None while there is none, or none that may be opened."""
    role: Role
    reason: str = ""
    """Why it has no port although one is there."""
    filtered: bool = False
    """An access list or inbound limit applies to it: what is for it passes table TRACK_IN."""
    segment: SegmentPort | None = None
    """Set if and only if it is on a logical network: a VLAN of the physical one, or none."""

    edge: bool = False
    """The port of an edge: of no machine, and any source address may come out of it."""
    access: PortAccess | None = None
    """The access lists that it is under."""
    limits: PortLimits | None = None
    """What its settings make of its port."""

    learning: PortLearning | None = None
    """What its guest may bring, and has brought."""
    brought_connections: bool = False
    """It is under access lists that forbid no more than when its port came here, with connections of before."""
    handed_over: bool = False
    """It is GONE since its hypervisor hands it over: nothing reads its port here, and one waits for it at the other
    end, whose host has it from this one alone until the machine runs there."""

    @property
    def addresses(self) -> tuple[PackedIp, ...]:
        """What it was given and what its guest has brought."""
        return (*self.binding.addresses, *(self.learning.learnt if self.learning is not None else ()))

    @property
    def number(self) -> int | None:
        return self.port.ofport if self.port else None

    def fact(self) -> PortFact:
        state = BOUND if self.port else CLOSED if self.reason else ABSENT
        return PortFact(self.binding.instance_id, state, self.reason)


def ports_by_interface(facts: SwitchFacts) -> dict[str, list[SwitchPort]]:
    found: dict[str, list[SwitchPort]] = {}
    for port in facts.ports:
        if port.iface_id and port.tunnel is None:
            found.setdefault(port.iface_id.lower(), []).append(port)
    return found


def bind(
    bindings: Iterable[PortBinding],
    machines: Iterable[Machine],
    facts: SwitchFacts,
    states: Mapping[str, MachineState] | None,
    segments: Mapping[str, SegmentPort] = MappingProxyType({}),
) -> dict[str, Local]:
    """Join what should be with what is. `states` is None on a host without hypervisor driver. Keys are instance ids."""
    ports = ports_by_interface(facts)
    machine_of = {instance: machine for machine in machines for instance in machine.instance_ids}
    ids: dict[str, str] = {}
    found: dict[str, tuple[PortBinding, SwitchPort | None, str]] = {}
    for binding in bindings:
        instance = binding.instance_id
        ids[instance] = _hypervisor_id(machine_of.get(instance), states)
        found[instance] = (binding, *_port_of(binding, ports.get(instance.lower(), []), ids[instance]))
    by_name = {port.name for _, port, _ in found.values() if port is not None}
    taken_in = _ports_by_machine(facts, by_name)
    result: dict[str, Local] = {}
    for binding, port, reason in found.values():
        instance = binding.instance_id
        if port is None and (candidates := taken_in.get((ids[instance], binding.mac))):
            port, reason = _port_of(binding, candidates, ids[instance])
        segment = segments.get(instance)
        leaves = bool(binding.forward_to) or (segment is not None and segment.leaving)
        state = _state_of(machine_of.get(instance), states)
        role = _role_of(leaves, port, machine_of.get(instance), state, told=states is not None)
        handed_over = role is Role.GONE and state is not None and state.handed_over
        result[instance] = Local(binding, port, role, reason, segment=segment, handed_over=handed_over)
    return result


def under_lists(local: Mapping[str, Local], access: Mapping[str, PortAccess]) -> dict[str, Local]:
    """The same, those under access lists with these."""
    return {
        instance: msgspec.structs.replace(one, filtered=True, access=access[instance]) if instance in access else one
        for instance, one in local.items()
    }


def with_limits(local: Mapping[str, Local], limits: Mapping[str, PortLimits]) -> dict[str, Local]:
    """The same, those with settings with these."""
    made = dict(local)
    for instance, found in limits.items():
        if instance in made:
            filtered = made[instance].filtered or found.inbound_mbps > 0
            made[instance] = msgspec.structs.replace(made[instance], filtered=filtered, limits=found)
    return made


def with_learning(local: Mapping[str, Local], learning: Mapping[str, PortLearning]) -> dict[str, Local]:
    """The same, those whose guests may bring addresses with what they may and have."""
    made = dict(local)
    for instance, found in learning.items():
        if instance in made:
            made[instance] = msgspec.structs.replace(made[instance], learning=found)
    return made


def without_rules(local: Mapping[str, Local], known: Collection[int]) -> Iterator[tuple[str, str]]:
    """Interfaces under an access list that this host was not told, and that in words."""
    for instance, one in sorted(local.items()):
        named = {number for _, *pair in one.access.lists for number in pair} if one.access else set()
        for number in sorted(named - {0}):
            if number not in known:
                name = one.binding.network_interface
                yield instance, f"{name}: it is under access list {number}, which is not known here: nothing passes"


def _ports_by_machine(facts: SwitchFacts, bound: Collection[str]) -> dict[tuple[str, int], list[SwitchPort]]:
    """Ports that are not bound yet and of which the switch says whose they are: by hypervisor's id and MAC address."""
    found: dict[tuple[str, int], list[SwitchPort]] = {}
    for port in facts.ports:
        if port.vm_id and port.attached_mac is not None and port.tunnel is None and port.name not in bound:
            found.setdefault((port.vm_id, int(port.attached_mac)), []).append(port)
    return found


def _hypervisor_id(machine: Machine | None, states: Mapping[str, MachineState] | None) -> str:
    """Empty if it is not known yet."""
    if machine is None:
        return ""
    state = states.get(machine.machine) if states is not None else None
    return (machine.hypervisor_id or (state.id if state is not None else "")).lower()


def _port_of(binding: PortBinding, candidates: list[SwitchPort], id: str) -> tuple[SwitchPort | None, str]:
    if not candidates:
        return None, ""
    fitting = [port for port in candidates if port.attached_mac == binding.mac]
    if not fitting:
        port = candidates[0]
        seen = "none" if port.attached_mac is None else mac_dashes(port.attached_mac)
        return None, f"port {port.name} has attached-mac {seen}, the interface has {mac_dashes(binding.mac)}"
    if id and (copies := [port for port in fitting if port.vm_id not in ("", id)]):
        fitting = [port for port in fitting if port not in copies]
        if not fitting:
            port = copies[0]
            return None, f"port {port.name} is of another machine ({port.vm_id}), a copy of this interface's ({id})"
    if len(fitting) > 1:
        names = ", ".join(sorted(port.name for port in fitting))
        return None, f"ports {names} all claim this interface"
    if fitting[0].ofport <= 0:
        return None, f"the switch could not open port {fitting[0].name}"
    return fitting[0], ""


def _state_of(machine: Machine | None, states: Mapping[str, MachineState] | None) -> MachineState | None:
    return states.get(machine.machine) if machine is not None and states is not None else None


def _role_of(
    leaves: bool, port: SwitchPort | None, machine: Machine | None, state: MachineState | None, *, told: bool
) -> Role:
    """`told`: a hypervisor's driver says what runs here."""
    running = runs(state)
    handed_over = state is not None and state.handed_over
    if leaves and _has_left(port, machine, told and (handed_over or not running)):
        return Role.GONE
    if machine is not None and machine.power == "Incoming" and not running:
        return Role.COMING
    if machine is not None and machine.power in ("Off", "Saved") and not running and not leaves:
        return Role.IDLE
    return Role.HERE


def _has_left(port: SwitchPort | None, machine: Machine | None, stands_still: bool) -> bool:
    """A moving machine has left once its port is gone, or it no longer runs here after it was told to move.

    Also if that was taken back meanwhile: then it is awaited here as well as there, but it is there that it went.
    What comes for one that its hypervisor hands over waits at the port at the other end, which is there by then.
    """
    if port is None or machine is None:
        return True
    return stands_still and (bool(machine.move_to) or machine.power == "Incoming")


def runs(state: MachineState | None) -> bool:
    """Is there such a machine, and does it run?"""
    return state is not None and state.power == "Running"


def foreign_ports(locals: Mapping[str, Local], facts: SwitchFacts) -> tuple[str, ...]:
    """Ports of the bridge that no binding claims, in words; they are closed. Spare ones are nobody's on purpose."""
    known = {instance.lower() for instance in locals}
    bound = {local.port.name for local in locals.values() if local.port is not None}
    return tuple(
        f"port {port.name} (iface-id {port.iface_id or 'none'}) is no interface of this host: closed"
        for port in sorted(facts.ports, key=lambda port: port.name)
        if not (port.tunnel or port.patch or port.spare)
        and port.iface_id.lower() not in known
        and port.name not in bound
    )
