"""Makes an edge answer for its outer addresses, or answer no more, and tells the neighbours: in one visit of its
namespace. Called by edge/namespace.py."""

import asyncio
import contextlib
import os
from collections.abc import Sequence

from weft.agent import kernel
from weft.agent.edge.announcing import send_frames
from weft.agent.edge.answering_changes import Change, requests
from weft.agent.edge.commands import inside
from weft.agent.edge.wanted import EdgeFailure
from weft.model.values import PackedIp


async def answer(name: str, change: Change, announced: Sequence[tuple[str, PackedIp]]) -> None:
    """Raises EdgeFailure."""
    if not any(change) and not announced:
        return

    def visit(closing: contextlib.ExitStack) -> None:
        _change(change)
        send_frames(announced, closing)

    try:
        await asyncio.to_thread(inside, name, visit)
    except OSError as error:
        raise EdgeFailure(f"{name}: {error.strerror or error}") from error


def _change(change: Change) -> None:
    asked = requests(change, kernel.index_of)
    for one, error in zip(asked, kernel.ask(asked), strict=True):
        if error:
            raise OSError(error, f"{one.words}: {os.strerror(error)}")
