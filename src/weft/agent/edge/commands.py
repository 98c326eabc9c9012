"""Runs the programs that make an edge, and work of ours inside its namespace. Called by what makes edges."""

import asyncio
import threading
from collections.abc import Callable, Sequence

from pyroute2 import netns

from weft.agent.edge.wanted import EdgeFailure
from weft.agent.programs import ProgramFailure, run_to_end

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
        return run_to_end(command, text, PATIENCE_SECONDS, check=check)
    except ProgramFailure as failure:
        raise EdgeFailure(str(failure)) from failure
