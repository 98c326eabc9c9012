"""Frames with records that are newer than their reader: read without them. Pure.

Called by agents for what the controller sends. A record of a tag that this version has no name for is passed over, and
the frame says so (passed_over): what is missing then is asked for by a version that may know it, since an agent never
resumes such a stream. A member more at the end of a known record needs nothing of this, msgspec skips it.
"""

from typing import Any

import msgspec

from weft.model.records import HostRecord, NetworkRecord
from weft.wire.messages import Delta, Full, ToAgent

_decode = msgspec.msgpack.Decoder(ToAgent).decode
_KNOWN: frozenset[int] = frozenset(
    kind.__struct_config__.tag for kind in (*NetworkRecord.__args__, *HostRecord.__args__)
)
_RECORDS = {Full.__struct_config__.tag: 4, Delta.__struct_config__.tag: 4}
"""Where a frame has its records, by its own tag, which is the first element."""


def decode(data: bytes) -> Any:
    """A message to the agent. Raises msgspec.MsgspecError."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        return _without_unknown(data)


def _without_unknown(data: bytes) -> Any:
    frame = msgspec.msgpack.decode(data)
    place = _RECORDS.get(frame[0]) if isinstance(frame, list) and frame else None
    if place is None or len(frame) <= place or not isinstance(frame[place], list):
        return _decode(data)
    known = [one for one in frame[place] if not _is_unknown(one)]
    passed_over = len(frame[place]) - len(known)
    frame[place] = known
    read = _decode(msgspec.msgpack.encode(frame))
    return msgspec.structs.replace(read, passed_over=passed_over)


def _is_unknown(record: Any) -> bool:
    return isinstance(record, list) and bool(record) and isinstance(record[0], int) and record[0] not in _KNOWN
