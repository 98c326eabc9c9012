"""MAC addresses on this host's switches that no interface of ours explains. Pure; time is an argument.

Called by agent.py. Two sources: what a hypervisor wrote beside a port (attached-mac), on any bridge, and what bridges
have learnt from frames. The controller makes of them foreign addresses and conflicts, so what is only on its way in or
out must not be told: it counts once it was there for a moment, and a port that was ours is given time to go. What goes
is gone at once, the first time; what comes and goes is told as there until it has stayed away.
"""

from collections.abc import Iterable, Mapping, Set

from weft.agent.bindings import Local
from weft.agent.switch import SwitchMac, SwitchPort
from weft.wire.messages import SeenMac

SETTLE_SECONDS = 2.0
LEAVING_SECONDS = 30.0
"""A port whose binding has gone belongs to a machine that is being removed."""
FLAPPING_SECONDS = 600.0
"""What is back within this time of having gone is told as gone only when it has stayed away for as long."""
MOST = 4096


class Sightings:
    """Of one host."""

    def __init__(self) -> None:
        self._since: dict[SeenMac, float] = {}
        self._ours: dict[tuple[str, int], float] = {}
        """(port, MAC) of bound ports, and when they last were."""
        self._went: dict[SeenMac, float] = {}
        """What was told as gone, and when; at most MOST of late."""
        self._flapping: dict[SeenMac, float] = {}
        """What came back, and when it was last there."""
        self._began: float | None = None

    def look(
        self,
        ports: Iterable[SwitchPort],
        bridge: str,
        elsewhere: Iterable[SwitchMac],
        locals: Mapping[str, Local],
        now: float,
    ) -> None:
        """Take in what is there: the ports of our own bridge, what is on the others, and what should be here."""
        if self._began is None:
            self._began = now
        identities = {(one.binding.instance_id.lower(), int(one.binding.mac)) for one in locals.values()}
        own = {mac for _, mac in identities}
        for local in locals.values():
            if local.port is not None:
                self._ours[local.port.name, int(local.binding.mac)] = now
        self._ours = {key: at for key, at in self._ours.items() if now - at < LEAVING_SECONDS}
        found = set()
        for port in ports:
            mac = int(port.attached_mac) if port.attached_mac is not None else 0
            if mac and port.tunnel is None and not port.spare:
                if (port.iface_id.lower(), mac) not in identities and (port.name, mac) not in self._ours:
                    found.add(SeenMac(mac, port.name, bridge))
        for one in elsewhere:
            if not (one.learnt and one.mac in own):
                found.add(SeenMac(one.mac, one.port, one.bridge, one.vlan, one.learnt))
        held = {one for one in self._held(found, now) if not self._is_ours(one, own)}
        self._since = {one: self._since.get(one, now) for one in found | held}

    def _is_ours(self, one: SeenMac, own: Set[int]) -> bool:
        return one.mac in own if one.learnt else (one.port, one.mac) in self._ours

    def _held(self, found: Set[SeenMac], now: float) -> Set[SeenMac]:
        """What is told as there although it is away, since it comes and goes."""
        for one in found:
            if one in self._flapping or (self._since.get(one) is None and self._went.pop(one, None) is not None):
                self._flapping[one] = now
        self._flapping = {one: at for one, at in self._flapping.items() if now - at < FLAPPING_SECONDS}
        for one in self._since.keys() - found - self._flapping.keys():
            if now - self._since[one] >= SETTLE_SECONDS:
                # the newest last
                self._went.pop(one, None)
                self._went[one] = now
        self._went = {one: at for one, at in self._went.items() if now - at < FLAPPING_SECONDS}
        for one in list(self._went)[:-MOST]:
            del self._went[one]
        return self._flapping.keys()

    def stop(self) -> None:
        """It is not known any more what should be here."""
        self._began = None
        self._since.clear()

    def seen(self, now: float) -> tuple[SeenMac, ...]:
        """What has been there for a moment, sorted; of too many those that somebody gave to a port first."""
        known = [one for one, since in self._since.items() if now - since >= SETTLE_SECONDS]
        if len(known) > MOST:
            known = sorted(known, key=lambda one: (one.learnt, _place(one)))[:MOST]
        return tuple(sorted(known, key=_place))

    def looked(self, now: float) -> bool:
        """Is `seen` all that there is to see?"""
        return self._began is not None and now - self._began >= SETTLE_SECONDS


def _place(one: SeenMac) -> tuple[int, str, str, int, bool]:
    return (one.mac, one.bridge, one.port, one.vlan, one.learnt)
