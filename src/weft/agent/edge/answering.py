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
from weft.model.values import PackedIp, pack_ip


async def answer(name: str, change: Change, announced: Sequence[tuple[str, PackedIp]]) -> None:
    """Raises EdgeFailure; neighbours are told all the same of the addresses that are there then."""
    if not any(change) and not announced:
        return

    def visit(closing: contextlib.ExitStack) -> None:
        asked = requests(change, kernel.index_of)
        refused = kernel.ask(asked)
        absent = _absent(change, refused)
        send_frames([one for one in announced if one not in absent], closing)
        for one, error in zip(asked, refused, strict=True):
            if error:
                raise OSError(error, f"{one.words}: {os.strerror(error)}")

    try:
        await asyncio.to_thread(inside, name, visit)
    except OSError as error:
        raise EdgeFailure(f"{name}: {error.strerror or error}") from error


def _absent(change: Change, refused: Sequence[int]) -> set[tuple[str, PackedIp]]:
    """By link: addresses that the kernel did not take."""
    first = len(change.gone)
    asked = zip(change.fresh, refused[first : first + len(change.fresh)], strict=True)
    return {(link, pack_ip(text.partition("/")[0])) for (link, text), error in asked if error}
