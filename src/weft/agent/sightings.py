"""MAC addresses on this host's switches that no interface of ours explains. Pure; time is an argument.

Called by agent.py. Two sources: what a hypervisor wrote beside a port (attached-mac), on any bridge, and what bridges
have learnt from frames. The controller makes of them foreign addresses and conflicts, so what is only on its way in or
out must not be told: it counts once it was there for a moment, and a port that was ours is given time to go.
"""

from collections.abc import Iterable, Mapping

from weft.agent.bindings import Local
from weft.agent.switch import SwitchMac, SwitchPort
from weft.wire.messages import SeenMac

SETTLE_SECONDS = 2.0
LEAVING_SECONDS = 30.0
"""A port whose binding has gone belongs to a machine that is being removed."""
MOST = 4096


class Sightings:
    """Of one host."""

    def __init__(self) -> None:
        self._since: dict[SeenMac, float] = {}
        self._ours: dict[tuple[str, int], float] = {}
        """(port, MAC) of bound ports, and when they last were."""
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
        self._since = {one: self._since.get(one, now) for one in found}

    def stop(self) -> None:
        """It is not known any more what should be here."""
        self._began = None
        self._since.clear()

    def seen(self, now: float) -> tuple[SeenMac, ...]:
        """What has been there for a moment, sorted."""
        known = (one for one, since in self._since.items() if now - since >= SETTLE_SECONDS)
        return tuple(sorted(known, key=lambda one: (one.mac, one.bridge, one.port, one.vlan, one.learnt))[:MOST])

    def looked(self, now: float) -> bool:
        """Is `seen` all that there is to see?"""
        return self._began is not None and now - self._began >= SETTLE_SECONDS
