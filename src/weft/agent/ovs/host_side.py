"""What the host itself has beside its switch, addresses and routes, read anew after news of them; and changes of it.

Kept by ovs/switch.py. Linux only.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from weft.agent import kernel
from weft.agent.kernel_messages import Request
from weft.agent.ovs import addresses, routes
from weft.agent.switch import HostAddress, HostRoute, StepFailure, SwitchUnavailable
from weft.model.values import ip_text

Ask = Callable[[list[Request]], list[int]]
"""As kernel.ask."""
Found = tuple[tuple[HostAddress, ...], tuple[HostRoute, ...]]


def _read() -> Found:
    return addresses.found(), routes.found()


class _Wish(NamedTuple):
    """One thing to be put or taken away."""

    step: str
    words: str
    request: Callable[[], Request]
    """Raises OSError."""
    so_already: tuple[int, ...] = ()
    """Errnos by which the kernel says that it is so already; every other one is a failure."""
    first: Callable[[], None] = lambda: None
    then: Callable[[], None] = lambda: None
    """Before it is asked for, and once it is done. Both raise OSError."""

    def failed(self, error: OSError) -> StepFailure:
        return StepFailure(self.step, self.words, str(error))


class HostSide:
    """Of one host."""

    def __init__(self, read: Callable[[], Found] = _read, ask: Ask = kernel.ask) -> None:
        """Both ask the kernel and may raise OSError: what there is, and for changes, those of each call in one send."""
        self._look = read
        self._ask = ask
        self._found: Found | None = None
        """None: to be read again."""
        self._read = False
        """Has nothing changed since it was last begun to be read?"""

    def changed(self) -> None:
        """There is news of it, or it is not known whether there was."""
        self._found, self._read = None, False

    async def found(self) -> Found:
        """Raises SwitchUnavailable: the kernel did not say, and is asked again."""
        if self._found is not None:
            return self._found
        # what changes while it is read is read again
        self._read = True
        try:
            found = await asyncio.to_thread(self._look)
        except OSError as error:
            raise SwitchUnavailable(f"the host's own addresses and routes cannot be read: {error}") from error
        if self._read:
            self._found = found
        return found

    async def put(self, wanted: Iterable[HostAddress], ways: Iterable[HostRoute]) -> list[StepFailure]:
        """Addresses, told to those who knew them elsewhere, and routes; what failed of it."""
        return await self._change([*map(_address_there, wanted), *map(_route_there, ways)])

    async def take(self, ways: Iterable[HostRoute], wanted: Iterable[HostAddress]) -> list[StepFailure]:
        """Routes and addresses; what failed of it."""
        return await self._change([*map(_route_gone, ways), *map(_address_gone, wanted)])

    async def _change(self, wishes: list[_Wish]) -> list[StepFailure]:
        if not wishes:
            return []
        try:
            return await asyncio.to_thread(_change, wishes, self._ask)
        finally:
            self.changed()


def _change(wishes: list[_Wish], ask: Ask) -> list[StepFailure]:
    """All of them in one send. After each news of addresses or routes Open vSwitch in userspace forgets all routes for
    as long as it reads them anew, and goes through its flows then: news that come while it still does cost packets."""
    failures: list[StepFailure] = []
    asked: list[tuple[_Wish, Request]] = []
    for wish in wishes:
        try:
            request = wish.request()
            wish.first()
            asked.append((wish, request))
        except OSError as error:
            if error.errno not in wish.so_already:
                failures.append(wish.failed(error))
    try:
        refused = ask([request for _, request in asked])
    except OSError as error:
        return [*failures, *(wish.failed(error) for wish, _ in asked)]
    for (wish, _), number in zip(asked, refused, strict=True):
        try:
            if number and number not in wish.so_already:
                raise OSError(number, os.strerror(number))
            wish.then()
        except OSError as error:
            failures.append(wish.failed(error))
    return failures


def _address_there(one: HostAddress) -> _Wish:
    put, announce = partial(addresses.to_put, one), partial(addresses.announce, one)
    return _Wish("address", _place(one), put, (errno.EEXIST,), then=announce)


def _address_gone(one: HostAddress) -> _Wish:
    take, first = partial(addresses.to_take, one), partial(addresses.keep_others, one)
    return _Wish("address", _place(one), take, (errno.EADDRNOTAVAIL, errno.ENODEV), first)


def _route_there(one: HostRoute) -> _Wish:
    return _Wish("route", routes.words_of(one), partial(routes.to_put, one))


def _route_gone(one: HostRoute) -> _Wish:
    return _Wish("route", routes.words_of(one), partial(routes.to_take, one), (errno.ESRCH, errno.ENODEV))


def _place(one: HostAddress) -> str:
    return f"{ip_text(one.address)} on {one.device}"
