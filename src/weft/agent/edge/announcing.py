"""Tells neighbours outside which addresses are here now, and asks for theirs. Called by what makes edges."""

import asyncio
import socket
import struct
from collections.abc import Sequence

from weft.agent.announcements import frame_of
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
                        for frame in frames(address, mac):
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
                channel.send(_arp_request(hardware, own, other))

    try:
        await asyncio.to_thread(send)
    except OSError as error:
        raise EdgeFailure(f"{link}: {error}") from error


def frames(address: PackedIp, mac: Mac) -> list[bytes]:
    """Gratuitous ones of both kinds."""
    reply = frame_of(address, mac)
    if len(address) != 4:
        return [reply]
    hardware = mac.to_bytes(6)
    return [reply, _arp_request(hardware, address, address)]


def _arp_request(hardware: bytes, own: PackedIp, other: PackedIp) -> bytes:
    """RFC 826, padded to the least that Ethernet carries."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + hardware + own + bytes(6) + other
    return (b"\xff" * 6 + hardware + b"\x08\x06" + body).ljust(60, b"\0")
