"""What the hypervisor should be asked for now. Pure: records, ports and what the hypervisor says in, verbs out.

Called by verbs.py after every plan. Level, not edge: the verbs are what is missing, so each is asked for until the
facts agree. What bears our mark and has no record is removed (identity.py tells it from what strangers have).
"""

from collections.abc import Collection, Mapping

import msgspec

from weft.agent.bindings import Local, runs
from weft.agent.errands import COPY, Ended, due, has_failed
from weft.agent.hypervisors import (
    HOST,
    Blank,
    CarryOut,
    Define,
    Migrate,
    Prepare,
    Remove,
    Save,
    SetMacs,
    SetRange,
    Start,
    Stop,
    Verb,
)
from weft.core.blanking import found, is_blank, why_not
from weft.model.hypervisor import MachineState
from weft.model.records import HostSettings, Machine, PortBinding, SubnetRecord
from weft.model.values import Vsid

RANGE = f"{HOST}range"


class World(msgspec.Struct, frozen=True):
    """All that a verb can depend on."""

    machines: Mapping[str, Machine]
    states: Mapping[str, MachineState]
    locals: Mapping[str, Local]
    subnets: Mapping[Vsid, tuple[SubnetRecord, ...]]
    mtus: Mapping[str, int]
    """By instance id."""
    leaving: Collection[str]
    """Machines whose record has gone and that no Remove has been carried out for yet."""
    in_sync: bool
    settled: bool
    """The switch has all flows: what is started now can be reached."""
    missing: Collection[str] = ()
    """Machines that another hand took from the hypervisor: not made anew."""
    may_start: bool = True
    """The policy is the controller's word, or was waited for long enough; else another host may run them by now."""
    settings: HostSettings = HostSettings()
    dynamic_range: tuple[int, int] | None = None
    """Where the hypervisor draws dynamic MAC addresses from, by what it says."""
    hosted: tuple[MachineState, ...] = ()
    """All machines that the hypervisor has, strangers too."""
    by_hand: Collection[str] = ()
    """Machines that another hand made run, stop or come here (hands.py): left as they are."""
    errands: Mapping[str, Ended] = {}
    """By machine: the last errand that has ended."""
    half_made: Collection[str] = ()
    """Machines whose making failed: something of them may be there that the hypervisor does not tell as theirs."""
    waiting: Collection[str] = ()
    """Interfaces, by instance id, whose machines do not begin to run yet: Standing.waiting."""
    isolating: Mapping[str, Verb] = {}
    """What is to be done to machines that run beside a lawful user of their address (isolation.py)."""


def verb_for(name: str, world: World) -> Verb | None:
    """What to ask of the hypervisor for one machine; None if nothing, or if something else must come first."""
    machine, state = world.machines.get(name), world.states.get(name)
    if name in world.isolating:
        return world.isolating[name]
    if machine is not None and (asked := _errand(machine, state, world)) is not None:
        # before all else, also where another hand was at the machine: its record waits for this
        return asked
    if name in world.by_hand or (machine is not None and has_failed(machine, world.errands)):
        return None
    if machine is None:
        return _leave(name, state, world)
    return None if name in world.missing else _level(name, machine, state, world)


def _errand(machine: Machine, state: MachineState | None, world: World) -> Verb | None:
    """What is to be done once. A machine that goes back in time is off for it; one that is copied is not there yet."""
    errand = due(machine, world.errands)
    if errand is None or not world.in_sync:
        return None
    if errand.kind == COPY:
        return CarryOut(machine, _bindings(machine, world)) if world.may_start else None
    if state is None or state.awaited:
        return None
    if errand.kind == "restore" and state.power == "Running":
        return Stop(machine.machine, state.id)
    return CarryOut(machine, _bindings(machine, world), state.id)


def _level(name: str, machine: Machine, state: MachineState | None, world: World) -> Verb | None:
    match machine.power:
        case "Absent":
            there = state is not None or name in world.half_made
            return Remove(name, _id(state), with_files=True) if there and world.in_sync else None
        case "Running":
            return _run(machine, state, world)
        case "Incoming":
            return _await(machine, state, world)
        case power:
            return _rest(machine, state, world, power)


def host_verbs(world: World) -> dict[str, Verb]:
    """What to ask of the hypervisor for the host itself and for strangers' machines, what is urgent first."""
    verbs = {name: verb for name, verb in world.isolating.items() if name.startswith(HOST)}
    if not world.in_sync:
        return verbs
    wanted = world.settings.dynamic_range
    if wanted is not None and wanted != world.dynamic_range:
        verbs[RANGE] = SetRange(*wanted)
    for own, checkpoint in world.settings.blank:
        there = found(world.hosted, own, checkpoint)
        if there is not None and not is_blank(there[1]) and not why_not(*there):
            verbs[f"{HOST}blank {own} {checkpoint}"] = Blank(there[0].id, there[1].id)
    return verbs


def host_problems(world: World) -> list[str]:
    """What is wanted of the host and is not done, for it would do harm."""
    words = []
    for own, checkpoint in world.settings.blank:
        there = found(world.hosted, own, checkpoint)
        if there is not None and (why := why_not(*there)):
            words.append(f"checkpoint {there[1].name} of {there[0].name or own} is not blanked: {why}")
    return words


def _id(state: MachineState | None) -> str:
    return state.id if state is not None else ""


def _leave(name: str, state: MachineState | None, world: World) -> Verb | None:
    """It is not, or no longer, this host's: after a failover another one may run it already."""
    if not world.in_sync:
        return None
    if world.settled and (state is not None or name in world.leaving):
        return Remove(name, _id(state))
    return Stop(name, _id(state)) if runs(state) else None


def _rest(machine: Machine, state: MachineState | None, world: World, power: str) -> Verb | None:
    """It does not run: known to the hypervisor, with the addresses that it owns."""
    if state is None or state.awaited or (state.unfinished and machine.hardware is not None):
        return _define(machine, world)
    if state.power == "Running":
        return Save(machine.machine, state.id) if power == "Saved" else Stop(machine.machine, state.id)
    if state.held or (state.power, power) == ("Saved", "Off"):
        return Stop(machine.machine, state.id)
    return _own_macs(machine, state, world)


def _define(machine: Machine, world: World) -> Verb | None:
    may = machine.hardware is not None and world.in_sync and world.may_start and not machine.move_to
    return Define(machine, _bindings(machine, world)) if may else None


def _own_macs(machine: Machine, state: MachineState, world: World) -> Verb | None:
    """An adapter has another MAC address than its interface, or may draw one, or bears another interface id, with which
    no port is bound: it gets its own while the machine is off.

    Where adapters and interfaces cannot be told together, that is a finding for people."""
    wanted = sorted(mac for mac in machine.macs if mac)
    if state.power != "Off" or len(state.adapters) != len(wanted) or not world.in_sync:
        return None
    ports = _bindings(machine, world)
    if len(ports) != len(wanted):  # an interface without an address is bound nowhere
        return None
    same = sorted(one.mac for one in state.adapters) == wanted and not any(one.dynamic for one in state.adapters)
    return None if same and _bear(state, ports) else SetMacs(machine, ports, state.id)


def _bear(state: MachineState, ports: tuple[PortBinding, ...]) -> bool:
    """Do its adapters bear the interface ids of these ports, each that of its own MAC address?"""
    wanted = sorted((port.mac, port.instance_id.lower()) for port in ports)
    return sorted((one.mac, one.instance_id.lower()) for one in state.adapters) == wanted


def _await(machine: Machine, state: MachineState | None, world: World) -> Verb | None:
    if runs(state) or _has_ports(machine, world) or (state is not None and state.awaited):
        return None
    return Prepare(machine, _bindings(machine, world), _id(state))


def _run(machine: Machine, state: MachineState | None, world: World) -> Verb | None:
    running = runs(state)
    if machine.move_to:
        move = Migrate(machine.machine, machine.move_to, machine.move_address, _id(state))
        return move if running else None
    if state is None or state.awaited or state.unfinished:
        made = _define(machine, world)
        if made is not None:
            return made
    elif not running and (own := _own_macs(machine, state, world)) is not None:
        return own
    if not running and any(one in world.waiting for one in machine.instance_ids):
        return None
    ports = _bindings(machine, world)
    if not _has_ports(machine, world):
        # what holds its machine paused for its ports has it start here: as a start, it waits
        waits = running or world.may_start or machine.hardware is None
        return Prepare(machine, ports, _id(state), _mtu(ports, world)) if waits else None
    if not world.settled:
        return None
    if not _is_open(machine, world):
        # its interface got another MAC while it was off: its port must follow before it can be bound
        return None if running else Prepare(machine, ports, _id(state), _mtu(ports, world))
    mtu = _mtu(ports, world)
    if not (running or world.may_start) or (running and world.states[machine.machine].mtu in (0, mtu)):
        return None
    subnets = tuple(
        subnet for vsid in sorted({binding.vsid for binding in ports}) for subnet in world.subnets.get(vsid, ())
    )
    return Start(machine, ports, subnets, mtu, _id(state))


def _mtu(ports: tuple[PortBinding, ...], world: World) -> int:
    return min((world.mtus[binding.instance_id] for binding in ports), default=1500)


def _bindings(machine: Machine, world: World) -> tuple[PortBinding, ...]:
    return tuple(world.locals[instance].binding for instance in machine.instance_ids if instance in world.locals)


def _is_open(machine: Machine, world: World) -> bool:
    """Are all its ports bound?"""
    return all(instance in world.locals and world.locals[instance].port for instance in machine.instance_ids)


def _has_ports(machine: Machine, world: World) -> bool:
    """Is there a port for every interface, open or closed?"""
    return all(
        instance in world.locals and (world.locals[instance].port or world.locals[instance].reason)
        for instance in machine.instance_ids
    )


def known(world: World) -> list[str]:
    """Every machine of ours that the hypervisor or the policy knows."""
    return sorted({*world.machines, *world.states, *world.leaving})


def names(world: World) -> list[str]:
    """Every machine of ours that there could be something to do for."""
    return sorted({*known(world), *(name for name in world.isolating if not name.startswith(HOST))})
