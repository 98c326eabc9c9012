"""Serves one controller over TCP on loopback and over a unix socket, until told to stop. Called by `weft serve`.

    await serve(controller, Listen("127.0.0.1:8470", data / "weft.sock"), new_id, announce)

Returns after SIGTERM or SIGINT, or when `stop` is set; requests under way are answered first, those that take longer
with ControllerEnding. Raises before it serves: AddressTaken, Invalid for an address that it may not listen on.
"""

import asyncio
import contextlib
import ctypes
import errno
import gc
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvicorn

from weft.api import auth
from weft.api.app import App
from weft.api.routes import Routes
from weft.control.controller import Controller
from weft.model.errors import Invalid, Unavailable
from weft.model.values import NewId

BACKLOG = 2048
GOODBYE_S = 2
"""Streams and sockets get this long at the end."""
GRACE_S = 1.5
"""Before that, requests that are under way get this long."""
REST_S = 0.5
"""Less than GOODBYE_S: after so much of it requests that have come since are broken off."""

UNIX_PATH_BYTES = 107
"""sun_path of unix(7), without its last zero."""


class AddressTaken(Unavailable):
    """Another program listens there."""

    code = "AddressTaken"


class Listen(msgspec.Struct, frozen=True):
    """Where to listen: HOST:PORT (port 0: any free one), and a unix socket."""

    tcp: str | None = "127.0.0.1:8470"
    unix: Path | None = None


def build(controller: Controller, new_id: NewId) -> App:
    """The ASGI application of a controller."""
    return App(Routes(controller), new_id)


async def serve(
    controller: Controller,
    listen: Listen,
    new_id: NewId,
    announce: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until told to stop. `announce` gets one line per address, and what the reader should know of it."""
    sockets = open_sockets(listen)
    try:
        for line in _lines(sockets):
            if announce is not None:
                announce(line)
        app = build(controller, new_id)
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GOODBYE_S,
        )
        server = _Server(config)
        settle_memory()
        with _told_to_stop(server, app, stop):
            await server.serve(sockets=sockets)
    finally:
        gc.unfreeze()
        for each in sockets:
            each.close()
        if listen.unix is not None:
            listen.unix.unlink(missing_ok=True)


def settle_memory() -> None:
    """Once all is loaded: it stays, so the collector need not walk it again and again; what loading freed goes back to
    the system, where the C library knows how."""
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Server(uvicorn.Server):
    """uvicorn's, but signals are handled here: its own handlers kill the process before the store is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _told_to_stop(server: uvicorn.Server, app: App, stop: asyncio.Event | None) -> Iterator[None]:
    loop, told = asyncio.get_running_loop(), stop or asyncio.Event()
    caught: list[signal.Signals] = []
    for each in (signal.SIGTERM, signal.SIGINT):
        # not the main thread (tests), or a loop without signals
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(each, told.set)
            caught.append(each)
    waiting = asyncio.create_task(_end(server, app, told))
    try:
        yield
    finally:
        waiting.cancel()
        for each in caught:
            loop.remove_signal_handler(each)


async def _end(server: uvicorn.Server, app: App, told: asyncio.Event) -> None:
    """Once told to: agents stay connected while requests finish, since many wait for what they tell."""
    await told.wait()
    app.end_streams()
    await app.requests_end(GRACE_S)
    server.should_exit = True
    # uvicorn lets go of whoever waits for the next request, and would answer 500 for whom it breaks off itself
    await asyncio.sleep(REST_S)
    app.break_off()


def open_sockets(listen: Listen) -> list[socket.socket]:
    """Listen on all or none: who comes from now on waits for the answer. Raises AddressTaken, Invalid."""
    sockets: list[socket.socket] = []
    try:
        if listen.tcp is not None:
            sockets.append(_tcp_socket(listen.tcp))
        if listen.unix is not None:
            sockets.append(_unix_socket(listen.unix))
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _tcp_socket(text: str) -> socket.socket:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Invalid(f"--listen {text}: write HOST:PORT, such as 127.0.0.1:8470.", target="listen")
    auth.check_listen(host)
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, int(port)))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(
                f"{text} is taken: another program listens there (ss -ltnp 'sport = :{port}' names it). "
                "End it, or choose another with --listen 127.0.0.1:PORT."
            ) from error
        raise Invalid(f"--listen {text}: {error.strerror}.", target="listen") from error
    found.setblocking(False)
    return found


def _unix_socket(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise Invalid(f"The path of the unix socket is too long ({path}): choose a shorter --data.", target="data")
    _clear_stale(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # whoever may connect is operator: the owner alone, from the first moment on
    mask = os.umask(0o177)
    try:
        found.bind(str(path))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise Invalid(f"Cannot listen on {path}: {error.strerror}.", target="data") from error
    finally:
        os.umask(mask)
    found.setblocking(False)
    return found


def _clear_stale(path: Path) -> None:
    """Remove the socket that a killed controller left; one that answers belongs to a living one."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise Invalid(f"{path} is no socket; it was left alone. Remove it or choose another --data.", target="data")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise AddressTaken(f"{path} is in use: another controller runs there.")


def _lines(sockets: list[socket.socket]) -> Iterator[str]:
    for each in sockets:
        address = each.getsockname()
        if each.family == socket.AF_UNIX:
            yield f"serving on unix:{address}"
        else:
            host = f"[{address[0]}]" if each.family == socket.AF_INET6 else address[0]
            yield f"serving on http://{host}:{address[1]}"
            yield "no certificate: this machine only, and everyone on it is operator"
