"""One connection to libvirtd, made when it is needed and again after it broke; libvirt's calls block, so each runs in a
thread of its own.

Used by driver.py. All connections of a process share libvirt's event loop, which runs in one thread to the end of the
process: it brings the events and keeps connections alive.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS, KEEP_ALIVE_COUNT = 5, 3
"""A libvirtd that answers nothing for so long counts as gone."""

T = TypeVar("T")

_guard = threading.Lock()
_loops: list[threading.Thread] = []


def _run_events() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:  # of one handle; the others go on
            log.warning("libvirt's event loop: %s", error)


def _ensure_events() -> None:
    """Before the first connection is opened."""
    with _guard:
        if not _loops:
            libvirt.registerErrorHandler(lambda context, error: None, None)  # it would write to stderr; we raise
            libvirt.virEventRegisterDefaultImpl()
            _loops.append(threading.Thread(target=_run_events, name="libvirt events", daemon=True))
            _loops[0].start()


async def in_thread(work: Callable[[], T]) -> T:
    """Run it in a thread that does not keep the process: who stops waiting leaves libvirtd to finish or to notice."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def tell(result: T | None, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has ended meanwhile: nobody waits
            log.debug("nobody waits for %s", work)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            tell(None, error)
        else:
            tell(result, None)

    threading.Thread(target=run, name="libvirt call", daemon=True).start()
    return await done


class Connection:
    """`happened` is told every lifecycle event, by UUID, `changed` that the connection was lost; in some thread."""

    def __init__(self, uri: str, happened: Callable[[str, int, int], None], changed: Callable[[], None]) -> None:
        self.uri = uri
        self._told = happened
        self._changed = changed
        self._lock = threading.Lock()
        self._open: Any = None
        self._listening = 0

    def get(self) -> Any:
        """The open virConnect; in a thread. Raises libvirtError if nobody answers."""
        with self._lock:
            if self._open is None or not self._open.isAlive():
                self._close()
                self._open = self._connect()
            return self._open

    def close(self) -> None:
        with self._lock:
            self._close()

    def _connect(self) -> Any:
        _ensure_events()
        connection = libvirt.open(self.uri)
        connection.setKeepAlive(KEEP_ALIVE_SECONDS, KEEP_ALIVE_COUNT)
        connection.registerCloseCallback(self._lost, None)
        kind = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        self._listening = connection.domainEventRegisterAny(None, kind, self._happened, None)
        return connection

    def _close(self) -> None:
        if self._open is not None:
            try:
                # what it would call keeps it open
                self._open.unregisterCloseCallback()
                self._open.domainEventDeregisterAny(self._listening)
                self._open.close()
            except libvirt.libvirtError as error:
                log.debug("closing %s: %s", self.uri, error)
            self._open = None

    def _happened(self, connection: Any, domain: Any, event: int, detail: int, opaque: Any) -> None:
        log.debug("%s: event %d, detail %d", domain.name(), event, detail)
        self._told(domain.UUIDString(), event, detail)

    def _lost(self, connection: Any, reason: int, opaque: Any) -> None:
        log.warning("%s: the connection was closed (reason %d)", self.uri, reason)
        self._changed()
