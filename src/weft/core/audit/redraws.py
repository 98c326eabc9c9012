"""Addresses that a host may give to a second machine or take from the first: at a start, by a draw, by a rollback.

A Hyper-V host checks its own machines only. It draws anew for a machine that it turns on with a dynamic address from
outside its range, so a machine that moved loses its address at its next start from off, and the host that it came
from is free to give that address away. Called by audit.report.
"""

from collections.abc import Iterator

from weft.core.audit.commands import Spares, change_mac, correct_checkpoint
from weft.core.audit.findings import CRITICAL, NOTICE, WARNING, Finding, about, listed, span
from weft.core.audit.survey import Guest, Nic, Site, Survey
from weft.model.values import GROUP_BIT, mac_dashes


def redrawn_at_start(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Dynamic addresses that the machine's present host did not draw."""
    for nic in found.nics:
        bounds = nic.guest.site.bounds
        if nic.mac and nic.dynamic and not nic.mac & GROUP_BIT and nic.guest.site.name:
            homes = _other_homes(found, nic)
            inside = bounds is not None and bounds[0] <= nic.mac <= bounds[1]
            if (bounds is not None and not inside) or (bounds is None and homes):
                yield _away(nic, homes, spares)


def _other_homes(found: Survey, nic: Nic) -> list[Site]:
    return [site for site in found.ranges.holding(nic.mac) if site is not nic.guest.site]


def _away(nic: Nic, homes: list[Site], spares: Spares) -> Finding:
    guest, mac = nic.guest, mac_dashes(nic.mac)
    bounds = guest.site.bounds
    range_text = f"whose range is {span(bounds)}" if bounds else "whose range the inventory does not say"
    steps = [
        f"{guest.name} has the dynamic address {mac} on {guest.site.name}, {range_text}.",
        f"{guest.name} is turned off and on again (a restart inside the guest is not enough): {guest.site.name} draws "
        "another address. DHCP leases, firewall rules and licences bound to the old one are lost.",
    ]
    if homes:
        names = _names(homes)
        steps.append(
            f"{names} may give {mac} to a new machine{homes[0].soon(nic.mac)}, even while {guest.name} still has it: "
            "a host checks its own machines only."
        )
    return about(
        [nic],
        severity=WARNING,
        code="redrawnAtStart",
        address=mac,
        hosts=(guest.site.name, *(site.name for site in homes)),
        summary=f"{guest} loses {mac} when it is next turned on.",
        steps=tuple(steps),
        remedy="Make its address static. The present one is no choice while another host may draw it: take one outside "
        "of every host's range, once, at a time that you choose."
        if homes
        else "Make its address static as it is.",
        commands=change_mac(nic, spares.mac(nic) if homes else nic.mac),
    )


def _names(homes: list[Site]) -> str:
    return listed([site.name for site in homes], 3)


def static_in_range(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Static addresses that lie where a host draws from."""
    may_move = found.may_move
    for nic in found.nics:
        if nic.mac and not nic.dynamic:
            homes = found.ranges.holding(nic.mac)
            if homes:
                yield _drawn_again(nic, list(homes), nic.guest.identity in may_move, spares)


def _drawn_again(nic: Nic, homes: list[Site], may_move: bool, spares: Spares) -> Finding:
    guest, mac = nic.guest, mac_dashes(nic.mac)
    others = [site for site in homes if site is not guest.site]
    host = (others or homes)[0]
    where = (
        f"{guest.name} is on {guest.site.name or 'another host'}, so {host.name} does not see it."
        if others
        else f"{guest.name} leaves {host.name}: moved, failed over or restored elsewhere."
    )
    return about(
        [nic],
        severity=WARNING if others or may_move else NOTICE,
        code="staticInRange",
        address=mac,
        hosts=tuple(dict.fromkeys([guest.site.name, *(site.name for site in homes)])),
        summary=f"{guest} has the static address {mac}, which {_names(homes)} may draw for another machine.",
        steps=(
            where,
            f"{host.name} starts a machine with a dynamic address and draws {mac}{host.soon(nic.mac)}: it checks its "
            "own machines only.",
            "Two machines run with one address.",
        ),
        remedy="Take static addresses from outside of every host's range, or keep the range away from them.",
        commands=change_mac(nic, spares.mac(nic)),
    )


def rollbacks(found: Survey) -> Iterator[Finding]:
    """Addresses in checkpoints that their machine will not find free when it is rolled back."""
    captured: dict[int, dict[str, Nic]] = {}
    for nic in found.captured:
        captured.setdefault(nic.mac, {}).setdefault(nic.guest.identity, nic)
    for machines in captured.values():
        nics = list(machines.values())
        troubled = [finding for nic in nics for finding in _rollback(found, nic)]
        yield from troubled
        if not troubled and len(nics) > 1:
            yield _captured_twice(nics)


def _rollback(found: Survey, nic: Nic) -> Iterator[Finding]:
    present = found.by_mac.get(nic.mac, [])
    if any(other.guest.identity == nic.guest.identity for other in present):
        return  # it has it now too: what may happen to it is told of the machine itself
    others = [other for other in present if other.meets(nic)]
    homes = _other_homes(found, nic)
    if others:
        yield _taken(nic, others)
    elif homes:
        yield _may_be_taken(nic, homes)


def _present(nic: Nic) -> int:
    """The address that the captured interface has now: its namesake's, else the machine's only one; 0 if unclear."""
    own = nic.guest.nics
    same = [each for each in own if each.adapter.name == nic.adapter.name]
    if nic.adapter.name and len(same) == 1:
        return same[0].mac
    return own[0].mac if len(own) == 1 else 0


def _taken(nic: Nic, others: list[Nic]) -> Finding:
    guest, mac = nic.guest, mac_dashes(nic.mac)
    holders = listed([str(other.guest) for other in others])
    return about(
        [nic, *others],
        severity=CRITICAL if any(other.guest.running for other in others) else WARNING,
        code="duplicateAtRollback",
        address=mac,
        summary=f"Checkpoint {nic.checkpoint} of {guest} brings {mac} back, which {holders} has now.",
        steps=(
            _story(guest, mac, nic.checkpoint),
            f"{holders} got {mac}: no host looks into the checkpoints of another.",
            f"{guest.name} is rolled back to {nic.checkpoint} and takes {mac} again: two machines with one address.",
        ),
        remedy=_remedy(nic),
        commands=correct_checkpoint(nic, _present(nic)),
    )


def _may_be_taken(nic: Nic, homes: list[Site]) -> Finding:
    guest, mac = nic.guest, mac_dashes(nic.mac)
    names = _names(homes)
    return about(
        [nic],
        severity=WARNING,
        code="redrawnBeforeRollback",
        address=mac,
        hosts=tuple(dict.fromkeys([guest.site.name, *(site.name for site in homes)])),
        summary=f"Checkpoint {nic.checkpoint} of {guest} brings {mac} back, which {names} may draw meanwhile.",
        steps=(
            _story(guest, mac, nic.checkpoint),
            f"{names} sees that none of its own machines has {mac} and gives it to a new one{homes[0].soon(nic.mac)}.",
            f"{guest.name} is rolled back to {nic.checkpoint} and takes {mac} again: two machines with one address.",
        ),
        remedy=_remedy(nic),
        commands=correct_checkpoint(nic, _present(nic)),
    )


def _remedy(nic: Nic) -> str:
    """Of a captured interface."""
    blanking = (
        "Blanking it instead (-DynamicMacAddress) changes the address of a running machine, which then has no network "
        "until it is restarted. "
    )
    if nic.guest.site.type == "vmware":
        return (
            "vSphere changes no address in a snapshot: take the snapshot anew, or delete it. In Weft's ledger an "
            "address in a checkpoint is held, and nobody else gets it."
        )
    return (
        "Let the checkpoint bring back the address that the machine has now. "
        f"{blanking if nic.guest.site.is_hyperv else ''}"
        "In Weft's ledger an address in a checkpoint is held, and nobody else gets it."
    )


def _story(guest: Guest, mac: str, checkpoint: str) -> str:
    return (
        f"{guest.name} had {mac} when {checkpoint} was taken, and has another address now, on {guest.site.name or '?'}."
    )


def _captured_twice(nics: list[Nic]) -> Finding:
    mac = mac_dashes(nics[0].mac)
    names = listed([f"{nic.checkpoint} of {nic.guest}" for nic in nics])
    return about(
        nics,
        severity=WARNING,
        code="checkpointTwins",
        address=mac,
        summary=f"The checkpoints {names} hold {mac}.",
        steps=(
            f"{nics[0].guest} is rolled back to {nics[0].checkpoint} and takes {mac}.",
            f"{nics[1].guest} is rolled back to {nics[1].checkpoint} and takes {mac} too.",
        ),
        remedy=_remedy(nics[1]),
        commands=tuple(line for nic in nics[1:] for line in correct_checkpoint(nic, _present(nic))),
    )
