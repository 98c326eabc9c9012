"""Addresses that more than one interface has: now, at the next start, after a migration. Called by audit.report.

Twins are legal while at most one of them runs in an L2 domain (a powered-off copy, a replica, the two ends of a move).
"""

from collections.abc import Iterable, Iterator

from weft.core.audit.commands import Spares, change_mac
from weft.core.audit.findings import CRITICAL, NOTICE, WARNING, Finding, about, listed
from weft.core.audit.survey import ANYWHERE, Nic, Site, Survey, domain_of
from weft.model.values import GROUP_BIT, ip_text, mac_dashes

Buckets = dict[str, list[Nic]]


def duplicate_macs(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Every address that two interfaces have, judged in each L2 domain, and where they are in several, across them."""
    reach = _Reach(found)
    for mac, nics in found.by_mac.items():
        if len(nics) > 1 and not mac & GROUP_BIT:
            buckets = in_domains(nics)
            for domain, there in buckets.items():
                yield from _in_one_domain(domain, there, spares)
            if len(buckets) > 1:
                yield from _after_a_move(mac, nics, reach, spares)


def in_domains(nics: Iterable[Nic]) -> Buckets:
    """By L2 domain, those of which nothing is known in each; a domain with a single interface is left out if it has
    no company."""
    buckets: Buckets = {}
    for nic in nics:
        buckets.setdefault(nic.domain, []).append(nic)
    anywhere = buckets.pop(ANYWHERE, [])
    if not buckets:
        return {ANYWHERE: anywhere}
    return {domain: [*there, *anywhere] for domain, there in buckets.items()}


def _in_one_domain(domain: str, there: list[Nic], spares: Spares) -> Iterator[Finding]:
    nics = _once_each(there)
    if len(nics) < len(there):
        kept = set(nics)
        yield _moving(there, {nic.guest.identity for nic in there if nic not in kept})
    running = [nic for nic in nics if nic.guest.running]
    off = [nic for nic in nics if not nic.guest.running]
    if len(running) > 1:
        yield _now(domain, running, off, spares)
    elif len(nics) > 1:
        yield _later(domain, running, off, spares) if running and _would_clash(running[0], off) else _twins(nics)


def _once_each(there: list[Nic]) -> list[Nic]:
    """Both ends of a migration count as the one with most running interfaces; two interfaces of one end are two."""
    ends: dict[str, dict[int, list[Nic]]] = {}
    for nic in there:
        ends.setdefault(nic.guest.identity, {}).setdefault(id(nic.guest.site), []).append(nic)
    homes = {identity: max(sites.values(), key=_running_in)[0].guest.site for identity, sites in ends.items()}
    return [nic for nic in there if homes[nic.guest.identity] is nic.guest.site]


def _running_in(end: list[Nic]) -> int:
    return sum(nic.guest.running for nic in end)


def _would_clash(running: Nic, off: list[Nic]) -> bool:
    """A standby copy is started in place of its primary; a host draws anew for a dynamic one if its own has it."""
    return any(not nic.guest.standby and not _redrawn(nic, running) for nic in off)


def _redrawn(nic: Nic, running: Nic) -> bool:
    return nic.dynamic and nic.guest.site.is_hyperv and nic.guest.site is running.guest.site


def _where(domain: str) -> str:
    return f"in {domain}" if domain else "in networks that may be one (the inventory does not say)"


def _now(domain: str, running: list[Nic], off: list[Nic], spares: Spares) -> Finding:
    names = listed([str(nic.guest) for nic in running])
    return about(
        [*running, *off],
        severity=CRITICAL,
        code="duplicateMac",
        address=mac_dashes(running[0].mac),
        summary=f"{names} run with {mac_dashes(running[0].mac)} {_where(domain)}.",
        remedy="All but one get an address of their own: until then the switch sends each frame to the one that spoke "
        "last, and on one host only one of them has a network at all.",
        commands=tuple(line for nic in running[1:] for line in change_mac(nic, spares.mac(nic))),
    )


def _later(domain: str, running: list[Nic], off: list[Nic], spares: Spares) -> Finding:
    at_risk = [nic for nic in off if not nic.guest.standby and not _redrawn(nic, running[0])]
    mac = mac_dashes(running[0].mac)
    names = listed([str(nic.guest) for nic in at_risk])
    return about(
        [*running, *at_risk],
        severity=WARNING,
        code="duplicateAtStart",
        address=mac,
        summary=f"{names} has the address of {running[0].guest}, {_where(domain)}.",
        steps=(
            f"{running[0].guest} runs with {mac}.",
            f"{at_risk[0].guest} is started; its host compares with its own machines only, or not at all.",
            "Both run with one address: the switch sends each frame to the one that spoke last.",
        ),
        remedy="Fine while it stays off, as a copy to replace the other. If both are to run, it needs an address of "
        "its own first.",
        commands=tuple(line for nic in at_risk for line in change_mac(nic, spares.mac(nic))),
    )


def _twins(nics: list[Nic]) -> Finding:
    running = [nic for nic in nics if nic.guest.running]
    state = f"only {running[0].guest} runs" if running else "all are off"
    if any(nic.guest.machine.is_replica for nic in nics):
        state += ", and a replica is among them"
    return about(
        nics,
        severity=NOTICE,
        code="twins",
        address=mac_dashes(nics[0].mac),
        summary=f"{listed([str(nic.guest) for nic in nics])} have {mac_dashes(nics[0].mac)}: legal, since {state}.",
        remedy="Start at most one of them at a time; Weft refuses to start the second, naming the first.",
        commands=("weft import INVENTORY",),
    )


def _moving(there: list[Nic], identities: set[str]) -> Finding:
    nics = [nic for nic in there if nic.guest.identity in identities]
    return about(
        nics,
        severity=NOTICE,
        code="migrationTwin",
        address=mac_dashes(nics[0].mac),
        summary=f"{nics[0].guest.name} is on several hosts under one id, as during a migration: no duplicate.",
        remedy="Take the inventory again when the migration is done. If it is still so, one of them was copied with "
        "its id, and must not be started.",
    )


class _Reach:
    """Domains that an interface may come to be in when its machine moves; asked once for machines that move alike."""

    def __init__(self, found: Survey) -> None:
        self._found = found
        self._sites: dict[tuple[object, ...], tuple[Site, ...]] = {}

    def of(self, nic: Nic) -> dict[str, Site]:
        machine, site = nic.guest.machine, nic.guest.site
        if nic.adapter.network or not nic.adapter.switch:
            return {}
        key = (site.name, machine.clustered, machine.possible_hosts)
        if key not in self._sites:
            self._sites[key] = tuple(self._found.reachable(nic.guest))
        return {domain_of(other, nic.adapter): other for other in self._sites[key]}


def _after_a_move(mac: int, nics: list[Nic], reach: _Reach, spares: Spares) -> Iterator[Finding]:
    """One finding for the first pair that a move would bring together."""
    residents = {nic.domain: nic for nic in nics}
    for nic in nics:
        for domain, site in reach.of(nic).items():
            other = residents.get(domain)
            if other is not None and other.guest.identity != nic.guest.identity and not other.meets(nic):
                yield _migration(mac, nic, other, site, spares)
                return


def _migration(mac: int, nic: Nic, other: Nic, site: Site, spares: Spares) -> Finding:
    address = mac_dashes(mac)
    return about(
        [nic, other],
        severity=WARNING,
        code="duplicateAtMigration",
        address=address,
        summary=f"{nic.guest} and {other.guest} have {address}; a move brings them together.",
        steps=(
            f"{nic.guest} has {address} in {nic.domain}, {other.guest} has it in {other.domain}: they do not meet.",
            f"{nic.guest.name} moves to {site.name}, where {nic.adapter.switch} is {other.domain}.",
            "Both are in one network with one address; nothing checks before the move.",
        ),
        remedy=f"{nic.guest.name} gets an address of its own before it may move.",
        commands=change_mac(nic, spares.mac(nic)),
    )


def _is_local(ip: bytes) -> bool:
    """Link-local, loopback and unspecified addresses are nobody's own."""
    if len(ip) == 16:
        return ip[0] == 0xFE and ip[1] & 0xC0 == 0x80 or not any(ip[:15])
    return ip[:2] == b"\xa9\xfe" or ip[0] in (0, 127)


def duplicate_ips(found: Survey) -> Iterator[Finding]:
    """One IP address in two machines of one network."""
    holders: dict[tuple[str, bytes], list[Nic]] = {}
    for nic in found.nics:
        for ip in nic.ips:
            if not _is_local(ip):
                holders.setdefault((nic.domain, ip), []).append(nic)
    for (domain, ip), nics in holders.items():
        apart = {nic.guest.identity: nic for nic in sorted(nics, key=lambda nic: nic.guest.running)}
        if len(apart) > 1:
            yield _same_ip(domain, ip, list(apart.values()))


def _same_ip(domain: str, ip: bytes, nics: list[Nic]) -> Finding:
    running = sum(nic.guest.running for nic in nics)
    certain = running > 1 and domain != ANYWHERE
    still = "" if running > 1 else "; one of them runs" if running else "; none of them runs"
    return about(
        nics,
        severity=CRITICAL if certain else WARNING if running else NOTICE,
        code="duplicateIp",
        address=ip_text(ip),
        summary=f"{listed([str(nic.guest) for nic in nics])} have {ip_text(ip)} {_where(domain)}{still}.",
        remedy="One of them gets another address, inside the guest or at the DHCP server; then clear the neighbours' "
        "caches.",
    )
