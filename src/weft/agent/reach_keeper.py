"""Keeps asking whether tunnels reach other hosts: lends Reach, which is pure, a switch, a clock and a ping.

Kept by ovs_plane.py, one per host.
"""

import asyncio
from collections.abc import Awaitable, Callable

from weft.agent.reach import Other, Reach
from weft.agent.switch import PacketIn, Switch
from weft.model.values import PackedIp

PINGS_AT_ONCE = 8

Ping = Callable[[PackedIp, PackedIp], Awaitable[bool]]
"""From a provider address of this host to another's: is it there?"""


class ReachKeeper:
    """One host's. Without `ping` it asks nobody, and answers all the same."""

    def __init__(self, switch: Switch, ping: Ping | None) -> None:
        self._switch = switch
        self._ping = ping
        self._reach = Reach()
        self._pinging: set[asyncio.Task[None]] = set()

    def ask(self, others: frozenset[Other], provider_mtu: int) -> None:
        """What is due now; called every second or so."""
        if self._ping is None:
            return
        self._switch.send(self._reach.turn(others, provider_mtu, _now()))
        for other in self._reach.silent[: PINGS_AT_ONCE - len(self._pinging)]:
            task = asyncio.create_task(self._ask_why(self._ping, other), name="ping")
            self._pinging.add(task)
            task.add_done_callback(self._pinging.discard)

    async def _ask_why(self, ping: Ping, other: Other) -> None:
        self._reach.pinged(other, await ping(other.way.tunnel.local, other.remote))

    def heard(self, packet: PacketIn) -> None:
        """What flows sent to service REACH."""
        self._switch.send(self._reach.heard(packet, _now()))

    def words(self) -> list[str]:
        """What does not get through, in words."""
        return self._reach.words()


def _now() -> float:
    return asyncio.get_running_loop().time()
