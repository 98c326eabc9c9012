"""Rate limits of guests' ports: which meters the switch should have, which it has, and so what to set and delete. Pure.

Called by reconcile.py. A port's meters have ids made of its OpenFlow number, so that nothing needs to be remembered:
what the bridge has under a number of our own ports is ours, and so is what it has beside a meter of Kind.SERVICE with
our very rate, which every port of ours has: that port went while no agent was there. Every other is another hand's.
"""

import enum
from collections.abc import Iterable

from weft.agent.bindings import Local
from weft.agent.switch import StepFailure, SwitchChange, SwitchMeter

ASKS, ASKS_AT_ONCE = 50, 100
"""Packets a second that a port may send to the agent, and after a silence."""

BURST, LEAST_BURST = 5, 1000
"""What may come at once within a rate: a fifth of a second of it, and not less than so many kilobits, so that TCP finds
the rate instead of losing every window."""


class Kind(enum.IntEnum):
    """Low two bits of an id."""

    OUTBOUND = 0
    """All that the guest sends."""
    INBOUND = 1
    """All that is delivered to it."""
    STORM = 2
    """Its broadcast and multicast."""
    SERVICE = 3
    """What it makes the agent do."""


def meter_id(port: int, kind: Kind) -> int:
    """Of a port's number, which is above 0 and below 65280; Open vSwitch takes ids up to 262144."""
    return port << 2 | kind


def meters_of(local: Local) -> tuple[SwitchMeter, ...]:
    """What every port may ask of the agent, and the rates that an interface's settings name."""
    number, limits = local.number, local.limits
    if not number:
        return ()
    meters = [_service(number)]
    if limits is not None:
        for kind, rate in ((Kind.OUTBOUND, limits.outbound_mbps), (Kind.INBOUND, limits.inbound_mbps)):
            if rate:
                meters.append(_mbps(meter_id(number, kind), rate))
        if limits.storm:
            meters.append(SwitchMeter(meter_id(number, Kind.STORM), "pktps", limits.storm, limits.storm))
    return tuple(meters)


def _service(port: int) -> SwitchMeter:
    return SwitchMeter(meter_id(port, Kind.SERVICE), "pktps", ASKS, ASKS_AT_ONCE)


def _mbps(id: int, rate: int) -> SwitchMeter:
    kbps = rate * 1000
    return SwitchMeter(id, "kbps", kbps, max(kbps // BURST, LEAST_BURST))


class Meters:
    """The meters of one switch, wanted and there."""

    def __init__(self) -> None:
        self._wanted: dict[int, SwitchMeter] = {}
        self._there: dict[int, SwitchMeter] | None = None
        """None: not known."""
        self._ports: set[int] = set()
        """Numbers that ports of ours have or had."""

    def want(self, local: Iterable[Local]) -> None:
        """The interfaces here, by their ports; all of them."""
        self._wanted = {}
        for one in local:
            if one.number is not None and one.number > 0:
                self._ports.add(one.number)
                self._wanted |= {meter.id: meter for meter in meters_of(one)}

    def has(self, meters: Iterable[SwitchMeter]) -> tuple[str, ...]:
        """What the switch has, all of it. Returns in words which of ours another hand has changed since."""
        before, self._there = self._there, {one.id: one for one in meters}
        changed = [
            key for key, one in self._wanted.items() if before and before.get(key) == one != self._there.get(key)
        ]
        return tuple(f"meter {key} ({Kind(key & 3).name.lower()} of port {key >> 2}) was changed" for key in changed)

    def lost(self) -> None:
        """It is not known any more what the switch has."""
        self._there = None

    @property
    def to_set(self) -> tuple[SwitchMeter, ...]:
        """Missing or otherwise; none while it is not known what is there."""
        if self._there is None:
            return ()
        return tuple(self._wanted[key] for key in sorted(self._wanted) if self._there.get(key) != self._wanted[key])

    @property
    def to_remove(self) -> tuple[int, ...]:
        """Ours, and not wanted any more."""
        return tuple(key for key in sorted(self._there or ()) if key not in self._wanted and self._is_ours(key >> 2))

    def _is_ours(self, port: int) -> bool:
        # of a port's meters this is the last that a switch takes away, so none is left without it
        return port in self._ports or (self._there or {}).get(meter_id(port, Kind.SERVICE)) == _service(port)

    def done(self, change: SwitchChange, failures: Iterable[StepFailure]) -> None:
        """The change was carried out, but for what failed."""
        if self._there is not None:
            failed = {failure.meter for failure in failures if failure.step == "meter"}
            self._there |= {one.id: one for one in change.meters if one.id not in failed}
            for key in change.meters_remove:
                self._there.pop(key, None)
