"""Runs the programs that make an edge, and work of ours inside its namespace. Called by what makes edges."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from pyroute2 import netns

from weft.agent.edge.wanted import EdgeFailure
from weft.agent.programs import ProgramFailure, run_to_end

PATIENCE_SECONDS = 20.0


def inside(name: str, work: Callable[[contextlib.ExitStack], None]) -> None:
    """Do something in a namespace, in a thread of its own, which ends there. What `work` puts on the stack is left
    after this has returned: the kernel takes its time to close a packet socket."""
    failure: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        with contextlib.ExitStack() as closing:
            try:
                netns.setns(name, flags=0)  # as it is by itself, it makes one that is not there
                work(closing)
            except Exception as error:
                failure.append(error)
            done.set()

    threading.Thread(target=run, name=f"in {name}").start()
    done.wait()
    if failure:
        raise failure[0]


async def batch(command: Sequence[str], lines: Sequence[str]) -> None:
    await run(command, "\n".join(lines) + "\n")


async def run(command: Sequence[str], text: str = "", *, check: bool = True) -> str:
    """Its output. Raises EdgeFailure with its last words."""
    return await asyncio.to_thread(_run_now, command, text, check)


def _run_now(command: Sequence[str], text: str, check: bool) -> str:
    try:
        return run_to_end(command, text, PATIENCE_SECONDS, check=check)
    except ProgramFailure as failure:
        raise EdgeFailure(str(failure)) from failure
