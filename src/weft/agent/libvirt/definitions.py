"""Define, SetMacs and Remove: a machine becomes known to libvirt, gets its addresses, and is forgotten.

Called by driver.py, in a thread. Raises HypervisorFailure or libvirtError.
"""

from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from weft.agent.hypervisors import Define, HypervisorFailure, Remove, SetMacs
from weft.agent.libvirt import disks, requirements
from weft.agent.libvirt.domain_patching import Unfit, with_ports
from weft.agent.libvirt.domain_xml import domain_xml
from weft.agent.libvirt.host import Host, config_of, state_of
from weft.agent.libvirt.mark import MAKING_NAMESPACE, PREFIX, Mark, is_making
from weft.agent.libvirt.power import OFF, power_of
from weft.model.records import PortBinding


def define(host: Host, verb: Define) -> Any:
    """The domain, with the UUID that its record names if it names one: it was here before, and another hand took it."""
    machine, hardware = verb.machine, verb.machine.hardware
    found = host.find(machine.machine, machine.hypervisor_id)
    if found is not None:
        if hardware is not None and (state := state_of(found)).unfinished:
            # whoever began has died meanwhile
            disks.make(hardware.disks, state.own_disks)
            note_made(found)
        return found
    if hardware is None:
        raise HypervisorFailure("libvirt knows no such machine, and its record has no hardware to define it from")
    if (stranger := host.named(machine.machine)) is not None:
        raise HypervisorFailure(f"a machine of that name is there that is not Weft's (UUID {stranger.UUIDString()})")
    requirements.check(host, hardware)
    mine = disks.to_make(hardware.disks)
    mark = Mark(machine.machine, machine.hypervisor_id.lower() or host.new_id(), mine)
    return make_domain(
        host,
        domain_xml(mark, hardware, verb.ports, host.platform),
        verb.ports,
        lambda: disks.make(hardware.disks, mine),
        mine,
    )


def make_domain(
    host: Host, xml: str, ports: Sequence[PortBinding], make_disks: Callable[[], None], mine: Sequence[str]
) -> Any:
    """Define a new domain, then its disks: the mark that names them is there before the files are. All or nothing."""
    domain = host.connection.defineXML(xml)
    try:
        host.check_ports(domain, ports)
        make_disks()
        if not _is_there(domain):
            raise HypervisorFailure("another hand deleted it while its disks were made")
        note_made(domain)
    except BaseException:
        # first the files: the domain may have gone by another hand, and is left to no one then
        disks.take_away(mine)
        if _is_there(domain):
            domain.undefineFlags(_UNDEFINE)
        raise
    return domain


def note_made(domain: Any) -> None:
    """All its disks are there."""
    kind, config = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if is_making(ET.fromstring(config_of(domain))):
        domain.setMetadata(kind, None, f"{PREFIX}making", MAKING_NAMESPACE, config)


def _is_there(domain: Any) -> bool:
    try:
        return bool(domain.isPersistent())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise


def set_macs(host: Host, verb: SetMacs) -> None:
    """Refused while it runs: the guest would keep the address that it has."""
    domain = host.need(verb.machine.machine, verb.id)
    state = state_of(domain)
    if power_of(domain, host.lives, state.run) != OFF:
        raise HypervisorFailure("it runs or is saved: its MAC addresses can be set while it is off")
    if domain.isActive():  # held for its start: its port would keep the old address
        domain.destroy()
    give_ports(host, domain, verb.ports)


def give_ports(host: Host, domain: Any, ports: Sequence[PortBinding]) -> None:
    """Define the domain anew with the identity of these ports, and read it back."""
    if host.fits(domain, ports):
        return
    try:
        xml = with_ports(config_of(domain), ports, host.settings.bridge)
    except Unfit as unfit:
        raise HypervisorFailure(str(unfit)) from unfit
    host.check_ports(host.connection.defineXML(xml), ports)


def remove(host: Host, verb: Remove) -> None:
    """Stop it, and forget it if it bears our mark. One that was only taken in is stopped and left."""
    domain = host.find(verb.machine, verb.id)
    if domain is None:
        return
    state = state_of(domain)
    host.lives.stopped(state.uuid)
    if domain.isActive():
        domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
    if state.machine.lower() != verb.machine.lower():
        return
    if domain.isPersistent():
        domain.undefineFlags(_UNDEFINE | (libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if verb.with_files else _KEEP_NVRAM))
    if verb.with_files:
        disks.take_away(state.own_disks)
    if host.find(verb.machine, verb.id) is not None:
        raise HypervisorFailure("it is there still after it was removed")


_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)
_KEEP_NVRAM = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
