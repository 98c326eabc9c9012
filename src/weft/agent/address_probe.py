"""Does another machine have a provider address of this host? Probes that ask (RFC 5227 section 2.1.1, RFC 4862 section
5.4.2), and an ear for those who say so of themselves (RFC 5227 section 2.4).

Lent to provider_keeper.py. A probe names no sender's address, so no neighbour learns from it. Nothing is changed
anywhere. We depart from the RFC's seconds: probes follow each other at a fifth of one, since a host waits for them.
"""

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable

from weft.agent.announcements import arp_request
from weft.agent.outside import UNKNOWN_MAC, Adapter, Stop
from weft.model.values import PackedIp, mac_dashes

PROBES = 3
INTERVAL_SECONDS = 0.2
_ETH_P_ARP, _ETH_P_IPV6 = 0x0806, 0x86DD
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_NEIGHBOUR = struct.Struct("!6s6sHIHBB16s16sBBHI16s")
"""Ethernet, IPv6 (RFC 8200 section 3) and neighbour solicitation or advertisement up to its options (RFC 4861)."""
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_SO_ATTACH_FILTER = 26


async def other_holder(address: PackedIp, adapter: Adapter) -> str:
    """The MAC address of who else answers for it; empty if nobody does, or it cannot be asked."""
    if adapter.failed:
        return UNKNOWN_MAC
    is_v4 = len(address) == 4
    try:
        with _wire(adapter, _ETH_P_ARP if is_v4 else _ETH_P_IPV6) as wire:
            for _ in range(PROBES):
                wire.send(probe(adapter.mac, address))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL_SECONDS):
                        return await _answer(wire, adapter.mac, address)
    except OSError:
        pass
    return ""


def listen(address: PackedIp, adapter: Adapter, heard: Callable[[str], None]) -> Stop:
    """IPv4 only: what others say about IPv6 addresses goes to groups that an agent need not be in. Raises OSError."""
    if len(address) != 4:
        return lambda: None
    wire = _wire(adapter, _ETH_P_ARP)
    # only what names the address as its sender's: a busy network has many others
    _attach(wire, struct.unpack("!I", address)[0])
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(OSError):
            while holder := holder_in(wire.recv(2048), adapter.mac, address):
                heard(holder)

    def stop() -> None:
        loop.remove_reader(wire)
        wire.close()

    loop.add_reader(wire, read)
    return stop


def _wire(adapter: Adapter, protocol: int) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        wire.bind((adapter.name, protocol))
    except OSError:
        wire.close()
        raise
    return wire


def _attach(wire: socket.socket, sender: int) -> None:
    """Let only ARP packets pass whose sender's protocol address (at 28) is this one; see packet(7) and bpf(4)."""
    steps = ((0x20, 0, 0, 28), (0x15, 0, 1, sender), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(steps), ctypes.addressof(program)))


async def _answer(wire: socket.socket, own: bytes, address: bytes) -> str:
    while True:
        frame = await asyncio.get_running_loop().sock_recv(wire, 2048)
        if holder := holder_in(frame, own, address):
            return holder


def probe(own: bytes, address: bytes) -> bytes:
    """Who has this address? Of nobody in particular."""
    if len(address) == 4:
        return arp_request(own, bytes(4), address)
    group = b"\xff\x02" + bytes(9) + b"\x01\xff" + address[13:]
    told = struct.pack("!I16s", 0, address)
    head = struct.pack("!BBH", _SOLICITATION, 0, _checksum(bytes(16) + group, _SOLICITATION, told))
    hop_limit = 255
    ip = struct.pack("!IHBB16s16s", 6 << 28, 24, _ICMPV6, hop_limit, bytes(16), group)
    return b"\x33\x33" + group[12:] + own + struct.pack("!H", _ETH_P_IPV6) + ip + head + told


def _checksum(addresses: bytes, kind: int, message: bytes) -> int:
    """Of ICMPv6 (RFC 4443 section 2.3)."""
    summed = addresses + struct.pack("!II", 4 + len(message), _ICMPV6) + struct.pack("!BBH", kind, 0, 0) + message
    total: int = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def holder_in(frame: bytes, own: bytes, address: bytes) -> str:
    """Who says in a packet, of any kind, that the address is his; empty if nobody else does. Whoever
    probes for it (RFC 5227 section 2.1.1) does not have it yet."""
    if len(address) == 16:
        return _advertiser_in(frame, own, address)
    if len(frame) < _ARP.size:
        return ""
    sender, spoken = _ARP.unpack_from(frame)[8:10]
    return _mac(sender) if spoken == address and sender != own else ""


def _advertiser_in(frame: bytes, own: bytes, address: bytes) -> str:
    """RFC 4861 section 4.4; the sender's own Ethernet address stands for an option that it may leave out."""
    if len(frame) < _NEIGHBOUR.size:
        return ""
    _, sender, ethertype, _, _, following, _, _, _, kind, _, _, _, target = _NEIGHBOUR.unpack_from(frame)
    is_it = (ethertype, following, kind, target) == (_ETH_P_IPV6, _ICMPV6, _ADVERTISEMENT, address)
    return _mac(sender) if is_it and sender != own else ""


def _mac(octets: bytes) -> str:
    return mac_dashes(int.from_bytes(octets))
