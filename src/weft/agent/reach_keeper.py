"""Keeps asking whether tunnels reach other hosts: lends Reach, which is pure, a switch, a clock and a ping.

Kept by ovs/plane.py, one per host.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from weft.agent.reach import Other, Reach
from weft.agent.switch import PacketIn, Switch
from weft.model.values import PackedIp, ip_text

PINGS_AT_ONCE = 8

HOLDER_SECONDS = 60.0


class Outside(msgspec.Struct, frozen=True):
    """What is asked of the provider network itself, past the switch."""

    ping: Callable[[PackedIp, PackedIp], Awaitable[bool]]
    """From a provider address of this host to another's: is it there?"""
    other_holder: Callable[[PackedIp], Awaitable[str]]
    """The MAC address of who else has a provider address of this host; empty if nobody has."""


class ReachKeeper:
    """One host's. Without `outside` it asks nobody, and answers all the same."""

    def __init__(self, switch: Switch, outside: Outside | None) -> None:
        self._switch = switch
        self._outside = outside
        self._look_at = 0.0
        self._holders: dict[PackedIp, str] = {}
        self._reach = Reach()
        self._pinging: set[asyncio.Task[None]] = set()
        self._looking: set[asyncio.Task[None]] = set()

    def ask(self, others: frozenset[Other], provider_mtu: int) -> None:
        """What is due now; called every second or so."""
        if self._outside is None:
            return
        self._look_for_holders(self._outside, others)
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

    def words(self) -> list[str]:
        """What does not get through, in words."""
        doubled = [
            f"provider address {ip_text(address)} is also {mac}'s: take it from there, or give this host another"
            for address, mac in sorted(self._holders.items())
            if mac
        ]
        return [*doubled, *self._reach.words()]

    def _look_for_holders(self, outside: Outside, others: frozenset[Other]) -> None:
        """At first, and once a minute: whoever has come since may have an address of ours."""
        own = {other.way.source for other in others}
        if not own or _now() < self._look_at:
            return
        self._look_at = _now() + HOLDER_SECONDS
        task = asyncio.create_task(self._ask_for_holders(outside, own), name="address probes")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _ask_for_holders(self, outside: Outside, own: set[PackedIp]) -> None:
        self._holders = {address: await outside.other_holder(address) for address in sorted(own)}


def _now() -> float:
    return asyncio.get_running_loop().time()
