"""Starts and stops the servers that are measured, each in a process of its own. Used by the benches and their tests."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from weft.bench.load import Address
from weft.bench.rows import Missing

READY_S = 180.0
"""A controller with a million interfaces takes half a minute to start, longer beside others."""


@contextlib.contextmanager
def controller(data: Path) -> Iterator[Address]:
    """A `weft serve` on an embedded store in `data`."""
    port = _free_port()
    command = [sys.executable, "-m", "weft", "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    with _running(command, port) as address:
        yield address


@contextlib.contextmanager
def bare_endpoint() -> Iterator[Address]:
    """The yardstick: weft.bench.bare."""
    port = _free_port()
    with _running([sys.executable, "-m", "weft.bench.bare", str(port)], port) as address:
        yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[Address]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _wait_for(process, command, port, said.fileno())
            yield "127.0.0.1", port
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", command: list[str], port: int, said: int) -> None:
    """Until it answers. Raises Missing with what it printed if it ends or stays silent."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    with open(said, "rb", closefd=False) as output:
        output.seek(0)
        words = output.read()[-1000:].decode(errors="replace").strip()
    raise Missing(f"{' '.join(command[1:])} did not start: {words or 'it said nothing'}")
