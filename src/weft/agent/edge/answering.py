"""Makes an edge answer for its outer addresses, or answer no more, and tells the neighbours: in one visit of its
namespace. Called by edge/namespace.py."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence

from weft.agent.edge import rtnetlink
from weft.agent.edge.announcing import send_frames
from weft.agent.edge.commands import inside
from weft.agent.edge.wanted import EdgeFailure
from weft.model.values import PackedIp

_AT_ONCE = 64
"""So many answers of the kernel fit into what a socket keeps for us."""


async def answer(name: str, change: rtnetlink.Change, announced: Sequence[tuple[str, PackedIp]]) -> None:
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


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError:
        raise OSError(f"there is no link {link}") from None


def _change(change: rtnetlink.Change) -> None:
    asked = rtnetlink.requests(change, _index)
    if not asked:
        return
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        for at in range(0, len(asked), _AT_ONCE):
            some = asked[at : at + _AT_ONCE]
            kernel.send(rtnetlink.packed(some))
            left = len(some)
            while left:
                for number, error in rtnetlink.answers(kernel.recv(1 << 16)):
                    left -= 1
                    if error:
                        raise OSError(error, f"{some[number].words}: {os.strerror(error)}")
