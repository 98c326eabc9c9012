"""Writes a cpio archive in the `newc` format, which Linux unpacks as its initramfs. Pure.

Format: cpio(5), "New ASCII Format": a header of hexadecimal numbers, the name, the content, each padded to 4 bytes.
"""

from collections.abc import Sequence

import msgspec

_FILE, _FOLDER = 0o100000, 0o040000


class Entry(msgspec.Struct, frozen=True):
    """A file, or a folder where content is None."""

    name: str
    content: bytes | None = None
    mode: int = 0o644


def archive(entries: Sequence[Entry]) -> bytes:
    """All of it, in this order: a folder before what is in it."""
    return b"".join(_packed(number, entry) for number, entry in enumerate((*entries, Entry("TRAILER!!!", b"", 0)), 1))


def _packed(number: int, entry: Entry) -> bytes:
    content = entry.content or b""
    mode = _FOLDER | 0o755 if entry.content is None else _FILE | entry.mode
    name = entry.name.encode() + b"\0"
    # inode, mode, user, group, links, time, size, device (2), device that it names (2), length of the name, checksum
    numbers = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % one for one in numbers)
    return _padded(head + name) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
