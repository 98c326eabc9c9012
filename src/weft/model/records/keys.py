"""How a record is told from the others of its stream."""

from weft.model.values import PackedIp

RecordKey = tuple[int | bytes, ...]
"""Tag first, then what identifies the record in its stream (names as UTF-8 bytes)."""

PackedPrefix = tuple[PackedIp, int]
"""Address and length."""
