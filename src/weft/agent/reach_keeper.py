"""Keeps asking whether tunnels reach other hosts: lends Reach, which is pure, a switch, a clock and a ping.

Kept by ovs/plane.py, one per host.
"""

import asyncio

from weft.agent.outside import Outside
from weft.agent.reach import Other, Reach
from weft.agent.switch import PacketIn, Switch

PINGS_AT_ONCE = 8


class ReachKeeper:
    """One host's. Without `outside` it asks nobody, and answers all the same."""

    def __init__(self, switch: Switch, outside: Outside | None) -> None:
        self._switch = switch
        self._outside = outside
        self._reach = Reach()
        self._unprobed: tuple[str, ...] = ()
        self._pinging: set[asyncio.Task[None]] = set()

    def ask(self, others: frozenset[Other], provider_mtu: int) -> None:
        """What is due now; called every second or so."""
        if self._outside is None:
            return
        self._unprobed = Reach.unprobed(others)
        self._switch.send(self._reach.turn(others, provider_mtu, _now()))
        for other in self._reach.silent[: PINGS_AT_ONCE - len(self._pinging)]:
            task = asyncio.create_task(self._ask_why(self._outside, other), name="ping")
            self._pinging.add(task)
            task.add_done_callback(self._pinging.discard)

    async def _ask_why(self, outside: Outside, other: Other) -> None:
        self._reach.pinged(other, await outside.ping(other.way.source, other.remote))

    def heard(self, packet: PacketIn) -> None:
        """What flows sent to service REACH."""
        self._switch.send(self._reach.heard(packet, _now()))

    def unprobed(self) -> tuple[str, ...]:
        """Hosts that are not asked, and why, in words."""
        return self._unprobed

    def words(self) -> list[str]:
        """What does not get through, in words."""
        return self._reach.words()


def _now() -> float:
    return asyncio.get_running_loop().time()
