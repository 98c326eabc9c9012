"""A tap on a network device: a packet socket (packet(7)), which sees what the device takes in and sends out.

Used by captures.py. Ports of kernel and userspace datapaths alike have a kernel device, but for those of DPDK. The
socket changes nothing on the device but its promiscuity, and is gone with its process.
"""

import socket
import struct

from weft.agent.captures import Seen

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 1, 6, 8
_PACKET_MR_PROMISC = 1
_SO_TIMESTAMPNS = 35
"""Constants of linux/if_packet.h and asm-generic/socket.h."""
_VLAN_VALID, _TAG = 1 << 4, 12
"""TP_STATUS_VLAN_VALID, and where a tag stood that the kernel took out."""
_BUFFER = 4 << 20
_ROOM = 256


class PacketTap:
    """Fulfils weft.agent.captures.Tap."""

    def __init__(self, device: str, snap: int) -> None:
        """Raises OSError: no such device, no right to (CAP_NET_RAW)."""
        self._snap = snap
        # protocol 0 hears nothing until it is bound to its one device
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._socket.bind((device, _ETH_P_ALL))
            index = socket.if_nametoindex(device)
            membership = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
            self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except OSError as error:
            self._socket.close()
            raise OSError(f"{device}: {error.strerror or error}") from error

    def read(self) -> Seen | None:
        try:
            content, ancillary, _, _ = self._socket.recvmsg(self._snap, _ROOM)
        except BlockingIOError:
            return None
        seconds = nanoseconds = 0
        length = len(content)
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
            elif level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                status, length, _, _, _, tci, protocol = struct.unpack("IIIHHHH", value[:20])
                if status & _VLAN_VALID:
                    content = content[:_TAG] + struct.pack("!HH", protocol or 0x8100, tci) + content[_TAG:]
                    length += 4
        return Seen(seconds, nanoseconds // 1000, content[: self._snap], length)

    def lost(self) -> int:
        """The kernel forgets the count when it is asked."""
        found: int = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
        return found

    def close(self) -> None:
        self._socket.close()
