"""The classic pcap format, as captures are written: microseconds, little-endian, Ethernet. Pure.

Called by agents, which make the records, and by the API, which puts the header before them.
Format: draft-ietf-opsawg-pcap, sections 4 and 5.
"""

import struct

_MAGIC, _MAJOR, _MINOR, _ETHERNET = 0xA1B2C3D4, 2, 4, 1

EXPERIMENT = 0x88B5
"""The ethertype for local experiments (IEEE 802 clause 9.2.3): of the note that says what a capture passed over."""


def header(snap: int) -> bytes:
    """What a file begins with; `snap`: so many bytes of each packet are kept."""
    return struct.pack("<IHHiIII", _MAGIC, _MAJOR, _MINOR, 0, 0, snap, _ETHERNET)


def record(seconds: int, microseconds: int, packet: bytes, length: int) -> bytes:
    """A packet of `length` bytes, of which these were kept."""
    return struct.pack("<IIII", seconds, microseconds, len(packet), length) + packet


def note(seconds: int, microseconds: int, text: str) -> bytes:
    """A record of a frame that never was, with a word for whoever reads the file, at its place in time."""
    frame = bytes(12) + EXPERIMENT.to_bytes(2) + text.encode("ascii")
    return record(seconds, microseconds, frame, len(frame))
