"""All that libvirt tells of its host. Called by driver.py, in a thread."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import libvirt
import msgspec

from weft.agent.libvirt.domain_reading import read_domain, read_snapshot
from weft.agent.libvirt.host import Host, xml_of
from weft.agent.libvirt.mark import HELD
from weft.agent.libvirt.power import OFF, RUNNING, Lives, power_of
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.records import Machine

_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT)
_NOT_THE_SOURCE = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED)
STRANDED_SECONDS = 10.0
"""A machine that runs here is handed over within this time, mostly in 0.2 to 0.4 s, or its hypervisor is asked."""
_STRANDED = (
    "{name} on {server} stands paused for a migration that is under way no more, and libvirt does not know whether it "
    "runs where it was going: on {server}, `virsh resume {name}` if it does not, `virsh destroy {name}` if it does; "
    "Weft goes on by itself"
)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def facts_of(host: Host, awaited: Mapping[str, Machine], arrived: list[Any]) -> HypervisorState:
    """Every domain of the host, and the machines that are awaited. `arrived` gets the domains that arrived, or stayed,
    with snapshots in their metadata. No range of dynamic addresses: libvirt draws one
    once, when a domain is defined without, and never again."""
    domains = host.connection.listAllDomains()
    seen = [state for domain in domains if (state := _seen(host, domain, arrived)) is not None]
    machines = tuple(_with_awaited(seen, awaited))
    return HypervisorState(machines, None, tuple(sorted(_switches(host, machines))), _boot())


def _seen(host: Host, domain: Any, arrived: list[Any]) -> MachineState | None:
    """None if it went while we looked."""
    try:
        return _machine(host, domain, arrived)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _GONE:
            return None
        raise


def _machine(host: Host, domain: Any, arrived: list[Any]) -> MachineState:
    read = read_domain(xml_of(domain))
    handed_over = is_handed_over(domain, host.lives)
    stranded = is_stranded(domain, host.lives)
    # QEMU answers nothing while it hands a machine over, so it is not asked
    migrating = handed_over or stranded or is_migrating(domain)
    power = RUNNING if migrating else power_of(domain, host.lives, read.run)
    known = {one.getName(): one.getXMLDesc(0) for one in domain.listAllSnapshots()}
    known |= {one.name: one.xml for one in read.luggage if one.name not in known}
    if read.luggage and not migrating and power != OFF:
        arrived.append(domain)
    checkpoints = tuple(read_snapshot(xml).state() for xml in known.values())
    held = power == OFF and read.run == HELD and bool(domain.isActive())
    state = MachineState(
        read.machine,
        power,
        migrating=migrating,
        id=read.uuid,
        name=read.name,
        adapters=read.adapters,
        checkpoints=checkpoints,
        held=held,
        isolated=read.isolated and bool(domain.isActive()),
        unfinished=read.unfinished,
        handed_over=handed_over,
        stranded=_STRANDED.format(name=read.name, server=host.settings.server) if stranded else "",
    )
    return host.lives.tell(state)


def is_migrating(domain: Any) -> bool:
    """Is a migration away from here under way, whoever asked for it?"""
    return bool(domain.isActive()) and _job(domain) == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT


def _job(domain: Any) -> int | None:
    """libvirt's operation that is under way on a domain that is active; None without one. Raises libvirtError."""
    try:
        kind, operation = _stats(domain)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _GONE:
            return None
        if error.get_error_code() in _NOT_THE_SOURCE:
            return int(libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        raise
    return operation if kind in (libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED) else None


def _stats(domain: Any, flags: int = 0) -> tuple[int, int]:
    """Kind and operation of its job."""
    stats = domain.jobStats(flags)
    kind = stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE)
    return int(kind), int(stats.get("operation", libvirt.VIR_DOMAIN_JOB_OPERATION_UNKNOWN))


def is_handed_over(domain: Any, lives: Lives) -> bool:
    """Has it run here, and stands still for the last of a migration away? One that comes here stands still likewise."""
    return stands_still(domain) and lives.has_run(domain.UUIDString(), domain.ID())


def is_stranded(domain: Any, lives: Lives) -> bool:
    """Does it stand still for the last of a migration that is under way no more? libvirt leaves a source so when it
    lost the destination, or was ended itself, before it heard whether the machine runs there."""
    uuid, life = domain.UUIDString(), domain.ID()
    if not stands_still(domain):
        lives.goes_on(uuid)
        return False
    # one that is handed over just now must not be kept waiting for, and one that was restored paused stands so too
    if lives.stands_still(uuid, life) < STRANDED_SECONDS or _job(domain) is not None:
        return False
    return stands_still(domain) and (lives.has_run(uuid, life) or _was_sent(domain))


def _was_sent(domain: Any) -> bool:
    """Has libvirt sent all of it to another host, as the last thing that it did to it?"""
    flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
    sent = (libvirt.VIR_DOMAIN_JOB_COMPLETED, libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)
    return _stats(domain, flags) == sent


def stands_still(domain: Any) -> bool:
    """Is it paused for the last of a migration, here or on its way here?"""
    return list(domain.state()) == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION]


def _with_awaited(seen: Iterable[MachineState], awaited: Mapping[str, Machine]) -> Iterable[MachineState]:
    """An awaited machine is on the list from Prepare on; its domain appears when it begins to come."""
    waiting = dict(awaited)
    for state in seen:
        name = next((name for name, one in waiting.items() if _is(state, one)), None)
        if name is None:
            yield state
        else:
            del waiting[name]
            yield msgspec.structs.replace(state, awaited=state.power != RUNNING)
    for name, machine in waiting.items():
        yield MachineState(name, OFF, id=machine.hypervisor_id.lower(), name=name, awaited=True)


def _is(state: MachineState, machine: Machine) -> bool:
    if machine.hypervisor_id:
        return state.id == machine.hypervisor_id.lower()
    return state.machine.lower() == machine.machine.lower()


def _switches(host: Host, machines: Iterable[MachineState]) -> set[str]:
    """The integration bridge, those of libvirt's networks, and those that machines are connected to."""
    networks = host.connection.listAllNetworks() if _has_networks(host.connection) else ()
    bridges = {_bridge(one) for one in networks}
    used = {adapter.switch for machine in machines for adapter in machine.adapters}
    return {one for one in {host.settings.bridge, *bridges, *used} if one}


def _has_networks(connection: Any) -> bool:
    try:
        return int(connection.numOfNetworks() + connection.numOfDefinedNetworks()) > 0
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:  # a libvirtd without its network driver
            return False
        raise


def _bridge(network: Any) -> str:
    try:
        return str(network.bridgeName())
    except libvirt.libvirtError:  # a network that has none, such as a macvtap pool
        return ""


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
