"""Tells neighbours outside which addresses are here now, and asks for theirs. Called by what makes edges."""

import asyncio
import socket
from collections.abc import Sequence

from weft.agent.announcements import arp_request, frames_of
from weft.agent.edge.commands import inside
from weft.agent.edge.wanted import EdgeFailure
from weft.model.values import Mac, PackedIp


async def announce(name: str, found: Sequence[tuple[str, PackedIp]]) -> None:
    """Of (link, address) in a namespace, our own without a name: an ARP reply and a request (some listen to one only),
    or an unsolicited advertisement. Raises EdgeFailure."""

    def send() -> None:
        for link in sorted({link for link, _ in found}):
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as channel:
                channel.bind((link, 0))
                mac = Mac(int.from_bytes(channel.getsockname()[4]))
                for other, address in found:
                    if other == link:
                        for frame in frames_of(address, mac):
                            channel.send(frame)

    try:
        await (asyncio.to_thread(inside, name, send) if name else asyncio.to_thread(send))
    except OSError as error:
        raise EdgeFailure(f"{name or 'announcing'}: {error}") from error


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
