"""Does another machine answer for a provider address of this host? An ARP probe (RFC 5227 section 2.1.1).

Called by reach_keeper.py. Only IPv4: of IPv6 the kernel looks itself (RFC 4862 section 5.4). Nothing is changed
anywhere: a probe has no sender's address, so no neighbour learns from it.
"""

import asyncio
import fcntl
import socket
import struct

from weft.model.values import PackedIp, mac_dashes

PATIENCE_SECONDS = 1.0
_SIOCGIFADDR, _SIOCGIFHWADDR = 0x8915, 0x8927
_ETH_P_ARP = 0x0806
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


async def other_holder(address: PackedIp) -> str:
    """The MAC address of who else answers for it; empty if nobody does, or it cannot be asked."""
    place = _place_of(address) if len(address) == 4 else None
    if place is None:
        return ""
    device, own = place
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0) as wire:
            wire.bind((device, _ETH_P_ARP))
            wire.send(probe(own, address))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    frame = await asyncio.get_running_loop().sock_recv(wire, 2048)
                    holder = holder_in(frame, own, address)
                    if holder:
                        return holder
    except (OSError, TimeoutError):
        return ""


def probe(own: bytes, address: bytes) -> bytes:
    return _ARP.pack(b"\xff" * 6, own, _ETH_P_ARP, 1, 0x0800, 6, 4, 1, own, bytes(4), bytes(6), address)


def holder_in(frame: bytes, own: bytes, address: bytes) -> str:
    """Who says in an ARP packet, of any kind, that the address is his; empty if nobody else does."""
    if len(frame) < _ARP.size:
        return ""
    sender, spoken = _ARP.unpack_from(frame)[8:10]
    return mac_dashes(int.from_bytes(sender)) if spoken == address and sender != own else ""


def _place_of(address: PackedIp) -> tuple[str, bytes] | None:
    """The device that has an address, and its MAC address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, device in socket.if_nameindex():
            request = struct.pack("256s", device.encode()[:15])
            try:
                if fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, request)[20:24] == address:
                    return device, fcntl.ioctl(asked.fileno(), _SIOCGIFHWADDR, request)[18:24]
            except OSError:
                continue
    return None
