"""Keeps asking about the provider addresses of a host: where they are, whether they are its own, what carries them.

Kept by ovs/plane.py, one per host: lends Claims, which are pure, a clock and the provider network.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

from weft.agent.claims import Claims
from weft.agent.outside import GRE_OFFLOAD, VXLAN_OFFLOAD, Adapter, Outside, Stop
from weft.model.values import PackedIp, ip_text

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0

_NEEDED = {"gre": ("NVGRE", GRE_OFFLOAD), "vxlan": ("VXLAN", VXLAN_OFFLOAD)}
"""By the kind of a tunnel: what its packets are called, and what spares the processor to cut them up."""


class ProviderKeeper:
    """One host's. `changed` is called whenever what it says is another than before."""

    def __init__(self, outside: Outside, changed: Callable[[], None]) -> None:
        self.claims = Claims()
        self.adapters: Mapping[PackedIp, Adapter] = {}
        self._outside = outside
        self._changed = changed
        self._places: Mapping[PackedIp, str] = {}
        self._news = asyncio.Event()
        self._ears: dict[tuple[PackedIp, str, bytes], Stop] = {}
        self._failing = ""

    def want(self, places: Mapping[PackedIp, str], used: Collection[PackedIp]) -> None:
        """From now on these, each on an interface or on none; those that are used are this host's already."""
        before, self._places = self._places, dict(places)
        if self.claims.want(places, used) or before != places:
            self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._news.clear()
                before = self._said()
                await self._look()
                if self._said() != before:
                    self._changed()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()
        finally:
            self._hear_only({})

    async def _look(self) -> None:
        try:
            self.adapters = await self._outside.adapters(self._places)
            self.claims.seen(self.adapters.keys())
            self._hear_only(self.adapters)
            self._failing = ""
        except OSError as error:
            if str(error) != self._failing:
                self._failing = str(error)
                log.warning("provider addresses: %s", error)
        asked = [(address, self.adapters[address]) for address in self.claims.due(_now()) if address in self.adapters]
        holders = await asyncio.gather(*(self._outside.other_holder(*one) for one in asked))
        for (address, _), holder in zip(asked, holders, strict=True):
            self.claims.answered(address, holder, _now())

    def _hear_only(self, adapters: Mapping[PackedIp, Adapter]) -> None:
        wanted = {(address, one.name, one.mac): one for address, one in adapters.items()}
        for gone in self._ears.keys() - wanted.keys():
            self._ears.pop(gone)()
        for key in wanted.keys() - self._ears.keys():
            address = key[0]
            with contextlib.suppress(OSError):  # not allowed to, or gone again: asked every minute all the same
                self._ears[key] = self._outside.listen(address, wanted[key], partial(self._heard, address))

    def _heard(self, address: PackedIp, holder: str) -> None:
        before = self._said()
        self.claims.heard(address, holder, _now())
        if self._said() != before:
            self._changed()

    def _said(self) -> object:
        return self.claims.usable, self.claims.settled, self.claims.holders(), self.adapters

    def nowhere(self) -> Iterator[str]:
        """Addresses whose interface is not there, in words."""
        for address, name in sorted(self._places.items()):
            if name and self.claims.is_nowhere(address):
                # named to the agent, or told by an address that was on it until now
                who = " (--provider-interface)" if name == self._outside.carrier else " any more"
                yield f"provider address {ip_text(address)}: this host has no interface {name}{who}"

    def without_offload(self, kinds: Iterable[str]) -> Iterator[str]:
        """Adapters that do nothing for the tunnels of these kinds, in words."""
        for name, offloads in sorted({(one.name, one.offloads) for one in self.adapters.values()}, key=str):
            for encapsulation, feature in (_NEEDED[kind] for kind in sorted(set(kinds))):
                if offloads is not None and feature not in offloads:
                    yield (
                        f"{name} does not offload {encapsulation} ({feature} is off): the processor cuts up what "
                        "tunnels carry; see ethtool -k, or take another adapter or encapsulation"
                    )


def _now() -> float:
    return asyncio.get_running_loop().time()
