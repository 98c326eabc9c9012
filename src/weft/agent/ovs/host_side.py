"""What the host itself has beside its switch, addresses and routes, read anew after news of them; and changes of it.

Kept by ovs/switch.py. Linux only.
"""

import asyncio
from collections.abc import Callable

from weft.agent.ovs import addresses, routes
from weft.agent.switch import HostAddress, HostRoute, StepFailure, SwitchUnavailable
from weft.model.values import ip_text

Found = tuple[tuple[HostAddress, ...], tuple[HostRoute, ...]]


def _read() -> Found:
    return addresses.found(), routes.found()


class HostSide:
    """Of one host."""

    def __init__(self, read: Callable[[], Found] = _read) -> None:
        """`read` asks the kernel; it may raise OSError."""
        self._ask = read
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
            found = await asyncio.to_thread(self._ask)
        except OSError as error:
            raise SwitchUnavailable(f"the host's own addresses and routes cannot be read: {error}") from error
        if self._read:
            self._found = found
        return found

    async def address(self, one: HostAddress, wanted: bool) -> list[StepFailure]:
        """Put it there, or take it off; what failed of it."""
        try:
            await asyncio.to_thread(addresses.put if wanted else addresses.take, one)
        except OSError as error:
            return [StepFailure("address", f"{ip_text(one.address)} on {one.device}", str(error))]
        finally:
            self.changed()
        return []

    async def route(self, one: HostRoute, wanted: bool) -> list[StepFailure]:
        """Put it there, or take it away; what failed of it."""
        try:
            await asyncio.to_thread(routes.put if wanted else routes.take, one)
        except OSError as error:
            where = f"{ip_text(one.prefix)}/{one.prefix_length} via {ip_text(one.gateway)} dev {one.device}"
            return [StepFailure("route", where, str(error))]
        finally:
            self.changed()
        return []
