"""Tells neighbours outside which addresses are here now, and asks for theirs. Called by what makes edges."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from weft.agent.announcements import arp_request, frames_of
from weft.agent.edge.wanted import EdgeFailure
from weft.model.values import Mac, PackedIp


def send_frames(found: Sequence[tuple[str, PackedIp]], closing: contextlib.ExitStack) -> None:
    """Of (link, address) in the namespace that this thread is in: an ARP reply and a request (some listen to one only),
    or an unsolicited advertisement. What is on the stack afterwards is to be closed."""
    for link in sorted({link for link, _ in found}):
        channel = closing.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        channel.bind((link, 0))
        mac = Mac(int.from_bytes(channel.getsockname()[4]))
        for other, address in found:
            if other == link:
                for frame in frames_of(address, mac):
                    channel.send(frame)


async def announce(found: Sequence[tuple[str, PackedIp]]) -> None:
    """In our own namespace. Raises EdgeFailure."""

    def send() -> None:
        with contextlib.ExitStack() as closing:
            send_frames(found, closing)

    try:
        await asyncio.to_thread(send)
    except OSError as error:
        raise EdgeFailure(f"announcing: {error}") from error


async def ask(link: str, questions: Sequence[tuple[PackedIp, PackedIp]]) -> None:
    """ARP requests out of a link of our own namespace, of (who asks, who is asked): the switch hears the answers."""

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as channel:
            channel.bind((link, 0))
            hardware = channel.getsockname()[4]
            for own, other in questions:
                channel.send(arp_request(hardware, own, other))

    try:
        await asyncio.to_thread(send)
    except OSError as error:
        raise EdgeFailure(f"{link}: {error}") from error
