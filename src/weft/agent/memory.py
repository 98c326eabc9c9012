"""The agent's memory: the frames that make up its last desired state, in one file of its state folder.

Called by agent.py. A frame is written before it is acked, so a killed agent knows what it has acked; only a host that
loses power may forget the last moments, and then its flows are gone too. The file is written anew, synced and renamed
into place when it has grown to twice what the state needs. A torn end is cut off. A file that makes no sense, or is
damaged anywhere before its end, counts as none: nothing is swept until the controller has told everything again.
"""

import logging
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from weft.agent.streams import Frame, Streams
from weft.wire.messages import PROTOCOL, Full, Welcome
from weft.wire.unknown import decode

log = logging.getLogger(__name__)

FILE = "policy"
MACHINES = "machines"
"""Names of the machines that the hypervisor had, one to a line."""
POWERS = "powers"
"""Which boot of the host it was, and in which power each machine and its record agreed; see weft.agent.hands."""
ERRANDS = "errands"
"""What came of the last errand of each machine; see weft.agent.errands."""
BEGUN = "restores"
"""Number of the last restore of each machine that was announced; see weft.agent.errands."""
_MAGIC = b"weft policy 2\n"
_HEAD = 12
"""Length of the frame, check of the length, check of the frame. Without a check of its own, a damaged length that
reaches over the end of the file would look like a torn end."""
_SLACK = 1 << 20

_encode = msgspec.msgpack.Encoder().encode


class Memory:
    """One agent's file. Not for concurrent use."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._file: Any = None
        self._size = 0
        self._needed = 0

    def frames(self) -> list[Frame]:
        """What was remembered, in order: all but a torn last frame, or nothing.

        Frames behind a damaged one were acked too. Without them an older policy would count as complete, and what it
        does not know of would be swept, machines too.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        try:
            return _read(data)
        except _Damaged as damaged:
            log.warning("%s: %s: all of it is asked for anew, and nothing removed until then", self._path, damaged)
            return []

    def machines(self) -> set[str]:
        """The machines that the hypervisor had; none if nothing is remembered."""
        try:
            return set((self._path.parent / MACHINES).read_text().split())
        except (OSError, UnicodeDecodeError):
            return set()

    def remember_machines(self, names: Iterable[str]) -> None:
        """Replace what machines() answers. A host that loses power may forget it: then it takes them as never made."""
        fresh = self._path.with_name(f"{MACHINES}.new")
        fresh.write_text("".join(f"{name}\n" for name in sorted(names)))
        os.replace(fresh, self._path.with_name(MACHINES))

    def powers(self) -> tuple[str, dict[str, str]]:
        """The host's boot and the powers that were agreed in it; nothing if nothing that makes sense is remembered."""
        try:
            return msgspec.json.decode((self._path.parent / POWERS).read_bytes(), type=tuple[str, dict[str, str]])
        except (OSError, msgspec.MsgspecError):
            return "", {}

    def remember_powers(self, boot: str, agreed: Mapping[str, str]) -> None:
        """Replace what powers() answers. A host that loses power may forget it, and has booted then anyhow."""
        fresh = self._path.with_name(f"{POWERS}.new")
        fresh.write_bytes(msgspec.json.encode((boot, agreed), order="sorted"))
        os.replace(fresh, self._path.with_name(POWERS))

    def errands(self) -> dict[str, tuple[int, str]]:
        """The last errand of each machine, and why it failed; nothing if nothing that makes sense is remembered."""
        try:
            return msgspec.json.decode((self._path.parent / ERRANDS).read_bytes(), type=dict[str, tuple[int, str]])
        except (OSError, msgspec.MsgspecError):
            return {}

    def remember_errands(self, ended: Mapping[str, tuple[int, str]]) -> None:
        """Replace what errands() answers, synced to disk: what a host forgot would be done a second time."""
        self._replace(ERRANDS, msgspec.json.encode(ended, order="sorted"))

    def begun(self) -> dict[str, int]:
        """The last restore of each machine that was announced; nothing if nothing that makes sense is remembered."""
        try:
            return msgspec.json.decode((self._path.parent / BEGUN).read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):
            return {}

    def remember_begun(self, begun: Mapping[str, int]) -> None:
        """Replace what begun() answers, synced to disk."""
        self._replace(BEGUN, msgspec.json.encode(begun, order="sorted"))

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self._path.with_name(f"{name}.new")
        with open(fresh, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path.with_name(name))
        _sync_folder(self._path.parent)

    def append(self, frame: bytes) -> None:
        """Remember a frame as it came; it survives the death of this process when this returns."""
        if self._file is None:
            raise RuntimeError("rewrite() comes first")
        self._file.write(_packed(frame))
        self._size += _HEAD + len(frame)

    @property
    def is_long(self) -> bool:
        """Is it time to rewrite?"""
        return self._size > 2 * self._needed + _SLACK

    def rewrite(self, streams: Streams) -> None:
        """Write the state alone, atomically and synced to disk."""
        fresh = self._path.with_suffix(".new")
        with open(fresh, "wb") as file:
            file.write(_MAGIC)
            file.write(_packed(_encode(Welcome(PROTOCOL, streams.generation, streams.server))))
            for number, stream in streams.streams.items():
                # the frames that follow in the file count on from here
                records = tuple(stream.records.values())
                full = Full(number, stream.sequence or 0, stream.revision, records, stream.passed_over)
                file.write(_packed(_encode(full)))
            file.flush()
            os.fsync(file.fileno())
            self._size = self._needed = file.tell()
        os.replace(fresh, self._path)
        _sync_folder(self._path.parent)
        self.close()
        self._file = open(self._path, "ab", buffering=0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Damaged(Exception):
    """The file is not what was written, and not for want of its end."""


def _read(data: bytes) -> list[Frame]:
    """Raises _Damaged."""
    if not data.startswith(_MAGIC):
        raise _Damaged("no policy that this version can read")
    frames = []
    offset = len(_MAGIC)
    while offset + _HEAD <= len(data):
        length = int.from_bytes(data[offset : offset + 4])
        if _check(data[offset : offset + 4]) != data[offset + 4 : offset + 8]:
            raise _Damaged(f"damaged at byte {offset}")
        end = offset + _HEAD + length
        frame = data[offset + _HEAD : end]
        if _check(frame) != data[offset + 8 : offset + _HEAD]:
            if end < len(data):
                raise _Damaged(f"damaged at byte {offset}")
            break
        try:
            frames.append(decode(frame))
        except msgspec.MsgspecError as error:
            raise _Damaged(f"byte {offset}: {error}") from error
        offset = end
    return frames


def _packed(frame: bytes) -> bytes:
    length = len(frame).to_bytes(4)
    return length + _check(length) + _check(frame) + frame


def _check(part: bytes) -> bytes:
    return zlib.crc32(part).to_bytes(4)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
