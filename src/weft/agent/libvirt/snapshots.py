"""Snapshots: taken, reverted to, deleted, rewritten, and carried along by a migration.

Called by errands.py and moving.py, in a thread. Raises HypervisorFailure or libvirtError.
"""

import logging
from typing import Any
from xml.sax.saxutils import escape

import libvirt

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.libvirt.domain_patching import Unfit, snapshot_with_macs
from weft.agent.libvirt.domain_reading import read_domain, read_snapshot
from weft.agent.libvirt.mark import LUGGAGE_NAMESPACE, PREFIX, KeptSnapshot, luggage_element
from weft.model.records import Errand

log = logging.getLogger(__name__)


def find(domain: Any, errand: Errand) -> Any:
    """The snapshot that an errand names, by the hypervisor's id of it (its name) or by the checkpoint's name."""
    try:
        return domain.snapshotLookupByName(errand.id or errand.name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            return None
        raise


def need(domain: Any, errand: Errand) -> Any:
    snapshot = find(domain, errand)
    if snapshot is None:
        known = ", ".join(sorted(domain.snapshotListNames())) or "none"
        raise HypervisorFailure(f"it has no snapshot of that name; it has: {known}")
    return snapshot


def take(domain: Any, errand: Errand) -> None:
    """An internal snapshot, with the memory of a machine that runs. One of that name is the one that was asked for."""
    if find(domain, errand) is None:
        domain.snapshotCreateXML(f"<domainsnapshot><name>{escape(errand.name)}</name></domainsnapshot>", 0)
    need(domain, errand)


def revert(domain: Any, errand: Errand) -> None:
    """Disks, memory and configuration are the snapshot's again, the MAC addresses among it. A machine that comes back
    with its memory is held paused, so that its port is bound before it sends anything."""
    snapshot = need(domain, errand)
    paused = read_snapshot(snapshot.getXMLDesc(0)).with_memory
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED if paused else 0
    try:
        domain.revertToSnapshot(snapshot, flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_SNAPSHOT_REVERT_RISKY:
            raise
        # it runs with another configuration than the snapshot's: it is started anew with that, as it should be
        domain.revertToSnapshot(snapshot, flags | libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)


def delete(domain: Any, errand: Errand) -> None:
    """It alone; those taken after it stay."""
    snapshot = find(domain, errand)
    if snapshot is not None:
        snapshot.delete(0)


def rewrite(domain: Any, errand: Errand) -> None:
    """Give the adapters in a snapshot other MAC addresses. Refused where memory is in it: a guest that comes back with
    its memory uses the address that it had, whatever its configuration says, until it is restarted."""
    snapshot = need(domain, errand)
    before = snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    if read_snapshot(before).with_memory:
        raise HypervisorFailure(
            "the snapshot has the memory of a running machine, and the guest in it would keep the old MAC address "
            "until it is restarted: delete it, or restore it and take it anew"
        )
    try:
        after = snapshot_with_macs(before, dict(errand.macs))
    except Unfit as unfit:
        raise HypervisorFailure(f"the snapshot: {unfit}") from unfit
    if read_snapshot(after).adapters != read_snapshot(before).adapters:
        _replace(domain, snapshot, after)
    wanted = sorted(int(mac) for _, mac in errand.macs)
    seen = sorted(one.mac for one in read_snapshot(need(domain, errand).getXMLDesc(0)).adapters)
    if not set(seen) <= set(wanted):
        raise HypervisorFailure("read back, the snapshot has other MAC addresses than it was given")


def _replace(domain: Any, snapshot: Any, xml: str) -> None:
    """libvirt takes no snapshot anew with another adapter in its place, so what it knows of this one and of those taken
    after it is taken away and told again, its own description changed; their data in the disks stay as they are."""
    kept = [_kept(one) for one in _with_descendants(snapshot)]
    changed = [KeptSnapshot(kept[0].name, xml, kept[0].current), *kept[1:]]
    snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)
    try:
        for one in changed:
            _tell(domain, one)
    except BaseException:
        for one in kept:
            _tell(domain, one)
        raise


def _with_descendants(snapshot: Any) -> list[Any]:
    """Parents first."""
    found = [snapshot]
    for child in snapshot.listAllChildren():
        found += _with_descendants(child)
    return found


def _kept(snapshot: Any) -> KeptSnapshot:
    xml = snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    return KeptSnapshot(snapshot.getName(), xml, bool(snapshot.isCurrent()))


def _tell(domain: Any, kept: KeptSnapshot) -> None:
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    if kept.current:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    domain.snapshotCreateXML(kept.xml, flags)


def pack(domain: Any) -> None:
    """libvirt moves no domain that has snapshots. So what it knows of them goes into the domain's metadata, which move
    along, and is taken away; their data are in the disks. Whoever has the domain next unpacks them, also if this
    process dies meanwhile."""
    roots = domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS)
    kept = [_kept(one) for root in roots for one in _with_descendants(root)]
    if not kept:
        return
    _write(domain, luggage_element(kept))
    for root in roots:
        root.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)


def unpack(domain: Any) -> None:
    """Tell libvirt again what `pack` put into the metadata; nothing where nothing is in there. Can be repeated."""
    kept = read_domain(str(domain.XMLDesc(0))).luggage
    if not kept:
        return
    there = set(domain.snapshotListNames())
    for one in kept:
        if one.name not in there:
            _tell(domain, one)
    _write(domain, None)


def _write(domain: Any, element: str | None) -> None:
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    domain.setMetadata(kind, element, f"{PREFIX}snapshots", LUGGAGE_NAMESPACE, flags)
