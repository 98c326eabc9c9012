"""What an audit answers: findings, how full each range is, and counts. docs/inventory.md explains every code."""

from typing import Any

import msgspec

from weft.core.audit.survey import Bounds, Guest, Nic
from weft.model.values import mac_dashes

CRITICAL = "critical"
"""Wrong now, or as good as certain."""
WARNING = "warning"
"""An ordinary step (a restart, a move, a rollback) makes it wrong."""
NOTICE = "notice"
"""Legal, but somebody should know."""

SEVERITIES = (CRITICAL, WARNING, NOTICE)


class Finding(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One thing to know, and what to do about it."""

    severity: str
    code: str
    summary: str
    """One sentence."""
    address: str = ""
    """The MAC address, IP address or range at stake."""
    machines: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    """Of a clash to come: what leads there, in order."""
    remedy: str = ""
    commands: tuple[str, ...] = ()
    """What carries the remedy out, as it stands: PowerShell, virsh or weft."""


class RangeUse(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How full a host's range, a pool or a vendor's block is. `used` counts addresses that machines or checkpoints
    have, wherever; of a block, those that are in no range and no pool."""

    owner: str
    kind: str
    """host, pool or block."""
    first: str
    last: str
    capacity: int
    used: int
    away: int
    """Of these: on another host, which the range's own host does not know of."""
    captured: int
    """Of these: in checkpoints only."""
    duplicates: int
    """Of these: running in more than one machine of an L2 domain."""
    free: int
    free_ranges: tuple[tuple[str, str], ...] = ()
    """The first of the free runs, at most eight."""
    cells: tuple[str, ...] = ()
    """The range cut into equal pieces; of each the strongest: duplicate, away, used, captured or free."""


class Summary(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    hosts: int
    machines: int
    interfaces: int
    checkpoints: int
    without_address: int
    """Interfaces whose machine never started, so that its hypervisor has not drawn an address yet."""
    critical: int
    warning: int
    notice: int


class Report(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The whole answer. Findings by severity, then code, then address."""

    summary: Summary
    findings: tuple[Finding, ...]
    ranges: tuple[RangeUse, ...]


def span(bounds: Bounds) -> str:
    """A range as people write it."""
    return f"{mac_dashes(bounds[0])} to {mac_dashes(bounds[1])}"


def listed(words: tuple[str, ...] | list[str], most: int = 5) -> str:
    """`a, b and c`; of many the first few and how many more."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(number: int, word: str) -> str:
    """`1 machine`, `2 machines`, `2,000 addresses`."""
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def named(guests: list[Guest]) -> tuple[str, ...]:
    """Machines by name, each once."""
    return tuple(dict.fromkeys(guest.name for guest in guests))


def hosts_of(guests: list[Guest]) -> tuple[str, ...]:
    """Where they are, each host once."""
    return tuple(dict.fromkeys(guest.site.name for guest in guests if guest.site.name))


def about(nics: list[Nic], **members: Any) -> Finding:
    """A finding about the machines of some interfaces."""
    guests = [nic.guest for nic in nics]
    members.setdefault("hosts", hosts_of(guests))
    return Finding(machines=named(guests), **members)
