"""Addresses that are wrong in themselves: group, reserved, missing, another vendor's. Called by audit.report."""

from collections.abc import Iterator

from weft.core.audit.commands import Spares, change_mac
from weft.core.audit.findings import CRITICAL, NOTICE, WARNING, Finding, about, listed
from weft.core.audit.survey import Nic, Survey
from weft.core.macs import vendor_of, why_forbidden
from weft.model.values import GROUP_BIT, mac_dashes

_LOCAL_BIT = 1 << 41
"""The U/L bit: the address was not bought but made up here, so it is nobody else's."""
_OWN = {"hyperv": "Microsoft", "libvirt": "QEMU and KVM", "vmware": "VMware", "xen": "Xen"}
"""Whose addresses each kind of hypervisor gives out."""


def wrong_values(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Addresses that no interface may have."""
    for nic in found.nics:
        why = why_forbidden(nic.mac) if nic.mac else ""
        if why:
            group = bool(nic.mac & GROUP_BIT)
            yield about(
                [nic],
                severity=CRITICAL if group else WARNING,
                code="groupAddress" if group else "reservedAddress",
                address=mac_dashes(nic.mac),
                summary=f"{nic.guest} has {mac_dashes(nic.mac)}: {why}.",
                remedy="Give it a unicast address that is nobody's.",
                commands=change_mac(nic, spares.mac(nic)),
            )


def is_waiting(nic: Nic) -> bool:
    """No address yet, as it should be: its machine was never started, and the host draws at the first start."""
    return not nic.mac and nic.dynamic and not nic.guest.running


def missing(found: Survey, spares: Spares) -> Iterator[Finding]:
    """All zeros where an address should be. Several zeros are never a duplicate, and an empty one is none at all."""
    nics = [nic for nic in found.nics if nic.adapter.mac and not nic.mac and not is_waiting(nic)]
    if nics:
        yield about(
            nics,
            severity=WARNING,
            code="zeroAddress",
            address=mac_dashes(0),
            summary=f"{listed([str(nic.guest) for nic in nics])} should have an address, and has all zeros.",
            remedy="Static zeros are never replaced, and a running machine with zeros is not on the network.",
            commands=tuple(line for nic in nics[:50] for line in change_mac(nic, spares.mac(nic))),
        )


def foreign_vendors(found: Survey) -> Iterator[Finding]:
    """Addresses from blocks that others bought, a finding for each block and kind of hypervisor."""
    blocks: dict[tuple[int, str], list[Nic]] = {}
    for nic in found.nics:
        kind = nic.guest.site.type
        if nic.mac and not nic.mac & GROUP_BIT and _is_foreign(nic.mac, kind):
            blocks.setdefault((nic.mac >> 24, kind), []).append(nic)
    for (oui, _), nics in sorted(blocks.items()):
        owner = vendor_of(nics[0].mac) or "whoever bought that block from the IEEE"
        prefix = mac_dashes(oui << 24)[:8]
        yield about(
            nics,
            severity=NOTICE,
            code="foreignVendor",
            address=prefix,
            summary=f"{listed([str(nic.guest) for nic in nics])}: {prefix} belongs to {owner}.",
            remedy="The owner's devices may use the same addresses. Addresses of one's own begin with 02.",
        )


def _is_foreign(mac: int, kind: str) -> bool:
    vendor = vendor_of(mac)
    if not vendor:
        return not mac & _LOCAL_BIT
    return kind in _OWN and not vendor.startswith(_OWN[kind])


def templates(found: Survey) -> Iterator[Finding]:
    """Templates with a static address: every copy gets it, also when it is started."""
    for guest in found.guests:
        nics = [nic for nic in guest.nics if nic.mac and not nic.dynamic]
        if guest.machine.is_template and nics:
            yield about(
                nics[:1],
                severity=WARNING,
                code="templateHoldsAddress",
                address=mac_dashes(nics[0].mac),
                summary=f"The template {guest} has the static address {mac_dashes(nics[0].mac)}.",
                steps=(
                    f"Two machines are made from {guest.name}; each is a copy with {mac_dashes(nics[0].mac)}.",
                    "Both are started: a static address is not drawn again.",
                ),
                remedy="A template has no address of its own: make it dynamic, or let Weft grant one to each clone.",
            )
