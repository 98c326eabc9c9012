"""Runs the programs that make an edge, and work of ours inside its namespace. Called by what makes edges."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Sequence

from pyroute2 import netns

from weft.agent.edge.wanted import EdgeFailure

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
PATIENCE_SECONDS = 20.0


def inside(name: str, work: Callable[[], None]) -> None:
    """Do something in a namespace: in a thread of its own, which ends there."""
    failure: list[OSError] = []

    def run() -> None:
        try:
            netns.setns(name)
            work()
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=f"in {name}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


async def batch(command: Sequence[str], lines: Sequence[str]) -> None:
    await run(command, "\n".join(lines) + "\n")


async def run(command: Sequence[str], text: str = "", *, check: bool = True) -> str:
    """Its output. Raises EdgeFailure with its last words."""
    return await asyncio.to_thread(_run_now, command, text, check)


def _run_now(command: Sequence[str], text: str, check: bool) -> str:
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "PATH": PATH},
        )
    except OSError as error:
        raise EdgeFailure(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise EdgeFailure(f"{' '.join(command)}: no end after {PATIENCE_SECONDS:g} s") from None
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise EdgeFailure(f"{' '.join(command)}: {' / '.join(words[-3:]) or f'exit code {done.returncode}'}")
    return done.stdout
