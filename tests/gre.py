"""The other end of a GRE tunnel (RFC 2784, key RFC 2890), of a few lines: kernels without GRE have none.

`python -m tests.gre LOCAL REMOTE KEY` passes packets between a TUN interface `gre0` and the far end, in the namespace
that it runs in, until it is killed; KEY is - for none.
"""

import fcntl
import ipaddress
import os
import select
import socket
import struct
import sys

GRE = 47
_KEYED, _SUMMED, _NUMBERED = 0x2000, 0x8000, 0x1000
_SET_INTERFACE, _TUN, _PLAIN = 0x400454CA, 0x0001, 0x1000


def channel():
    """Sends GRE packets without their IP header, and gets them with it."""
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, GRE)


def wrapped(packet, key):
    """An IP packet in GRE. `key` is -1 for none."""
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return struct.pack("!HH", _KEYED if key >= 0 else 0, kind) + (struct.pack("!I", key) if key >= 0 else b"") + packet


def unwrapped(datagram):
    """(From, to, key, IP packet) of an IP packet with GRE in it; addresses packed, -1 is no key."""
    message = datagram[(datagram[0] & 15) * 4 :]
    flags, at, key = int.from_bytes(message[:2]), 4, -1
    at += 4 if flags & _SUMMED else 0
    if flags & _KEYED:
        key, at = int.from_bytes(message[at : at + 4]), at + 4
    at += 4 if flags & _NUMBERED else 0
    return datagram[12:16], datagram[16:20], key, message[at:]


def main(local, remote, key):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _SET_INTERFACE, struct.pack("16sH", b"gre0", _TUN | _PLAIN))
    raw = channel()
    raw.bind((local, 0))
    print("ready", flush=True)
    ends = ipaddress.ip_address(remote).packed, ipaddress.ip_address(local).packed, key
    while True:
        for one in select.select([tun, raw], [], [])[0]:
            if one is raw:
                *found, packet = unwrapped(raw.recv(65536))
                if tuple(found) == ends:
                    os.write(tun, packet)
            else:
                raw.sendto(wrapped(os.read(tun, 65536), key), (remote, 0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], -1 if sys.argv[3] == "-" else int(sys.argv[3]))
