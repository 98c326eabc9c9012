"""The next hops to peers, as the userspace datapath must know them before the first packet.

Kept by ovs/switch.py. Open vSwitch forgets a neighbour after 900 s, and asks for none by itself before a packet for it
is lost.
"""

import asyncio
import logging
from pathlib import Path

from weft.agent.ovs import neighbours
from weft.agent.switch import Peer, StepFailure
from weft.model.values import ip_text

log = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
"""They are set again this often."""
RETRY_SECONDS = 2.0


class NextHops:
    """Of one switch, by its run folder."""

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir
        self._peers: dict[Peer, str] = {}
        """Next hop's MAC as last set; empty while nobody answers for it."""

    def forget(self) -> None:
        """The switch began anew and knows none."""
        self._peers = {}

    async def reach(self, peers: tuple[Peer, ...]) -> list[StepFailure]:
        """Set those of new peers; one that answers nothing is tried again in the background."""
        fresh = [peer for peer in peers if peer not in self._peers]
        self._peers.update(dict.fromkeys(fresh, ""))
        await asyncio.gather(*(self._set(peer, neighbours.RESOLVE_SECONDS) for peer in fresh))
        return [
            StepFailure("peer", ip_text(peer.remote), "nobody answers for its next hop", peer)
            for peer in peers
            if not self._peers.get(peer)
        ]

    async def keep(self) -> None:
        """Ask again for those that do not answer, and set the others again before they age out. Until cancelled."""
        loop = asyncio.get_running_loop()
        refresh_at = loop.time() + REFRESH_SECONDS
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            due = loop.time() >= refresh_at
            if due:
                refresh_at = loop.time() + REFRESH_SECONDS
            for peer in [peer for peer, mac in self._peers.items() if due or not mac]:
                await self._set(peer, RETRY_SECONDS)

    async def _set(self, peer: Peer, patience: float) -> None:
        try:
            hop, mac = await neighbours.resolve(peer, patience)
            await neighbours.command(self._rundir, "tnl/neigh/set", hop.device, hop.address, mac)
        except (neighbours.Unreachable, OSError, ValueError) as error:
            log.info("next hop to %s: %s", ip_text(peer.remote), error)
            return
        if peer in self._peers:
            self._peers[peer] = mac
