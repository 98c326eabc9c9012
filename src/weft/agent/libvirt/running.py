"""Prepare, Start, Stop, Save, Disconnect and Reconnect: what has to do with a machine's power.

Called by driver.py, in a thread. Raises HypervisorFailure or libvirtError.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import libvirt

from weft.agent.hypervisors import Define, Disconnect, HypervisorFailure, Prepare, Reconnect, Save, Start, Stop
from weft.agent.libvirt import disks
from weft.agent.libvirt.definitions import define, give_ports
from weft.agent.libvirt.domain_patching import isolated, plugged_in, read_mtus, unplugged, with_mtu
from weft.agent.libvirt.host import Host, config_of, state_of, xml_of
from weft.agent.libvirt.mark import HELD, ISOLATED_NAMESPACE, PREFIX, RAN, RUN_NAMESPACE, isolated_element, run_element
from weft.agent.libvirt.power import OFF, RUNNING, SAVED, is_held, power_of
from weft.model.records import Machine, PortBinding

log = logging.getLogger(__name__)


def prepare(host: Host, verb: Prepare) -> None:
    """Its ports are there and it has not run: a domain that exists, paused. Those of one that runs are there."""
    found = host.find(verb.machine.machine, verb.id or verb.machine.hypervisor_id)
    if found is not None and host.lives.told(found.UUIDString()) == RUNNING:
        return  # if it does not any more, another hand stopped it, and whoever asked does not know that yet
    _hold(host, verb.machine, verb.ports, verb.mtu, verb.id)


def start(host: Host, verb: Start) -> None:
    domain = _hold(host, verb.machine, verb.ports, verb.mtu, verb.id)
    if not is_held(domain, host.lives, state_of(domain).run):
        return
    domain.resume()
    host.lives.ran(domain.UUIDString(), domain.ID())
    note_run(domain, RAN)
    _expect(host, domain, RUNNING)


def note_run(domain: Any, state: str) -> None:
    """So that an agent that starts afresh tells a domain that never ran from one that somebody paused."""
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    try:
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        domain.setMetadata(kind, run_element(state), f"{PREFIX}run", RUN_NAMESPACE, live)
    except libvirt.libvirtError as error:  # this process knows it all the same
        log.warning("%s: its metadata cannot be written: %s", domain.name(), error)


def _hold(host: Host, machine: Machine, ports: Sequence[PortBinding], mtu: int, id: str) -> Any:
    """The domain, active with these ports, whatever it was before; one that runs is left as it is."""
    domain = host.find(machine.machine, id or machine.hypervisor_id)
    if domain is None:
        domain = define(host, Define(machine, tuple(ports)))
    state = state_of(domain)
    power = power_of(domain, host.lives, state.run)
    if power == RUNNING:
        return domain
    if domain.isActive():
        if power == OFF and domain.state()[0] != libvirt.VIR_DOMAIN_CRASHED and host.fits(domain, ports):
            return domain
        domain.destroy()
    if power != SAVED:
        give_ports(host, domain, ports)
        _give_mtu(host, domain, mtu)
        if machine.hardware is not None:
            disks.make(machine.hardware.disks, state.own_disks)
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    note_run(domain, HELD)
    host.check_ports(domain, ports)
    return domain


def _give_mtu(host: Host, domain: Any, mtu: int) -> None:
    """virtio tells the guest its MTU when it starts."""
    if mtu and read_mtus(before := config_of(domain)) - {mtu}:
        host.connection.defineXML(with_mtu(before, mtu))


def stop(host: Host, verb: Stop) -> None:
    """Off at once, as by its power switch, after QEMU has written what it holds; what it had saved of memory goes."""
    domain = host.find(verb.machine, verb.id)
    if domain is None:
        return
    if domain.isActive():
        domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        host.lives.stopped(domain.UUIDString())
    elif domain.hasManagedSaveImage():
        domain.managedSaveRemove()
    else:
        return
    if domain.isPersistent():
        _expect(host, domain, OFF)


def save(host: Host, verb: Save) -> None:
    domain = host.need(verb.machine, verb.id)
    if not domain.isActive():
        return
    domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
    host.lives.stopped(domain.UUIDString())
    _expect(host, domain, SAVED)


def disconnect(host: Host, verb: Disconnect) -> None:
    """Its cables are pulled, so to speak, until Reconnect or its next start. One that is pulled already is another
    hand's."""
    domain = host.need("", verb.id)
    if not domain.isActive():
        return
    xml = xml_of(domain)
    if pulled := plugged_in(xml):
        # first, so that none is ever unplugged of which nobody knows whose work that is
        _note_isolated(domain, isolated_element({*isolated(xml), *(mac for mac, _ in pulled)}))
    _update(domain, [adapter for _, adapter in pulled])
    if left := plugged_in(xml_of(domain)):
        raise HypervisorFailure(f"read back {len(left)} of its adapters are connected still")


def reconnect(host: Host, verb: Reconnect) -> None:
    """The cables that Disconnect pulled are plugged in again."""
    domain = host.need("", verb.id)
    if not domain.isActive():
        return
    xml = xml_of(domain)
    ours = isolated(xml)
    _update(domain, [adapter for mac, adapter in unplugged(xml) if mac in ours])
    if left := [mac for mac, _ in unplugged(xml_of(domain)) if mac in ours]:
        raise HypervisorFailure(f"read back {len(left)} of its adapters are disconnected still")
    if ours:
        _note_isolated(domain, None)


def _update(domain: Any, adapters: Iterable[str]) -> None:
    for adapter in adapters:
        domain.updateDeviceFlags(adapter, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _note_isolated(domain: Any, element: str | None) -> None:
    """In the metadata of its present life."""
    kind, live = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(kind, element, f"{PREFIX}isolated", ISOLATED_NAMESPACE, live)


def _expect(host: Host, domain: Any, power: str) -> None:
    seen = power_of(domain, host.lives, state_of(domain).run)
    if seen != power:
        raise HypervisorFailure(f"read back it is {seen}, not {power}")
