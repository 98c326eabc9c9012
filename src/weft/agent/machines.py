"""What the hypervisor should be asked for now. Pure: records, ports and what the hypervisor says in, verbs out.

Called by verbs.py after every plan. Level, not edge: the verbs are what is missing, so each is asked for until the
facts agree. A driver's facts() list machines of ours only, so what is there without a record is removed.
"""

from collections.abc import Collection, Mapping

import msgspec

from weft.agent.bindings import Local
from weft.agent.hypervisors import MachineState, Migrate, Prepare, Remove, Start, Stop, Verb
from weft.model.records import Machine, PortBinding, SubnetRecord
from weft.model.values import Vsid


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


def verb_for(name: str, world: World) -> Verb | None:
    """What to ask of the hypervisor for one machine; None if nothing, or if something else must come first."""
    machine = world.machines.get(name)
    running = name in world.states and world.states[name].power == "Running"
    if machine is None:
        return _leave(name, running, world)
    if name in world.missing:
        return None
    match machine.power:
        case "Running":
            return _run(machine, running, world)
        case "Incoming":
            return None if running or _has_ports(machine, world) else Prepare(machine, _bindings(machine, world))
        case _:
            return Stop(name) if running else None


def _leave(name: str, running: bool, world: World) -> Verb | None:
    """It is not, or no longer, this host's: after a failover another one may run it already."""
    if not world.in_sync:
        return None
    if world.settled and (name in world.states or name in world.leaving):
        return Remove(name)
    return Stop(name) if running else None


def _run(machine: Machine, running: bool, world: World) -> Verb | None:
    if machine.move_to:
        return Migrate(machine.machine, machine.move_to) if running else None
    if not _has_ports(machine, world):
        return Prepare(machine, _bindings(machine, world))
    if not world.settled:
        return None
    ports = _bindings(machine, world)
    if not _is_open(machine, world):
        # its interface got another MAC while it was off: its port must follow before it can be bound
        return None if running else Prepare(machine, ports)
    mtu = min(world.mtus[binding.instance_id] for binding in ports) if ports else 1500
    if not (running or world.may_start) or (running and world.states[machine.machine].mtu in (0, mtu)):
        return None
    subnets = tuple(
        subnet for vsid in sorted({binding.vsid for binding in ports}) for subnet in world.subnets.get(vsid, ())
    )
    return Start(machine, ports, subnets, mtu)


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


def names(world: World) -> list[str]:
    """Every machine that there could be something to do for."""
    return sorted({*world.machines, *world.states, *world.leaving})
