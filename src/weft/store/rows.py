"""Changes to rows and back: pure conversion between weft.core.changes and what the tables hold.

MessagePack has no integer above 64 bits, so addresses and cursors cross as big-endian bytes. A log value is an array
of entries: [1, kind, id, before, after] for a resource, [2, scope, address, before, after, event, machine, host,
reason] for a lease, [3, pool, before, after] for a cursor.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from weft.core.changes import Change, CursorChange, LeaseChange, ResourceChange
from weft.model.kinds import KINDS
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.store.sharing import Sharing


class _LeaseBody(msgspec.Struct, frozen=True, array_like=True):
    state: str
    holders: tuple[Holder, ...]
    until: float
    reason: str


class _ResourceEntry(msgspec.Struct, frozen=True, array_like=True, tag=1):
    kind: str
    id: str
    before: msgspec.Raw
    after: msgspec.Raw


class _LeaseEntry(msgspec.Struct, frozen=True, array_like=True, tag=2):
    scope: str
    address: bytes
    before: _LeaseBody | None
    after: _LeaseBody | None
    event: str
    machine: str
    host: str
    reason: str
    holder: str = ""


class _CursorEntry(msgspec.Struct, frozen=True, array_like=True, tag=3):
    pool: str
    before: bytes
    after: bytes


_WIDTHS = {MAC_SCOPE: 6, "ip4": 4, "ip6": 16}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[_ResourceEntry | _LeaseEntry | _CursorEntry, ...]).decode
_resource_decoders = {kind.name: msgspec.msgpack.Decoder(kind.type | None).decode for kind in KINDS}
_body_decoders = {kind.name: msgspec.json.Decoder(kind.type).decode for kind in KINDS}
_holders_decoder = msgspec.json.Decoder(tuple[Holder, ...]).decode
_json = msgspec.json.Encoder().encode


def pack_address(scope: str, address: int) -> bytes:
    """Six bytes for a MAC, 4 or 16 for an IP address, 8 for a VSID or routing domain number."""
    return address.to_bytes(_WIDTHS.get(scope[:3], 8), "big")


def unpack_number(packed: bytes) -> int:
    return int.from_bytes(packed, "big")


def pack_number(number: int) -> bytes:
    """A cursor: at most 128 bits, sixteen bytes."""
    return number.to_bytes(16, "big")


def encode_body(resource: Any) -> str:
    return _json(resource).decode()


def decode_body(kind: str, body: str) -> Any:
    return _body_decoders[kind](body)


def lease_row(lease: Lease, packed: bytes) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (lease.scope, packed, lease.state, lease.until, _json(lease.holders).decode(), lease.reason)


def lease_of(row: Sequence[Any], share: Sharing) -> Lease:
    """Columns in the order of the table's."""
    scope, packed, state, until, holders, reason = row
    return Lease(
        share.text(scope),
        int.from_bytes(packed, "big"),
        share.text(state),
        share.holders(_holders_decoder(holders)),
        share.zero(until),
        share.text(reason),
    )


def _body(lease: Lease | None) -> tuple[Any, ...] | None:
    return None if lease is None else (lease.state, lease.holders, lease.until, lease.reason)


def _entry(change: Change) -> tuple[Any, ...]:
    # by type and not by pattern: this runs for every change there is, and patterns cost three times as much
    if isinstance(change, LeaseChange):
        c = change
        packed = pack_address(c.scope, c.address)
        return (2, c.scope, packed, _body(c.before), _body(c.after), c.event, c.machine, c.host, c.reason, c.holder)
    if isinstance(change, ResourceChange):
        return (1, change.kind, change.id, change.before, change.after)
    return (3, change.pool, pack_number(change.before), pack_number(change.after))


def encode_changes(changes: Iterable[Change]) -> bytes:
    """The log's value for one revision."""
    return _encode([_entry(change) for change in changes])


def _lease(scope: str, address: int, body: _LeaseBody | None) -> Lease | None:
    return None if body is None else Lease(scope, address, body.state, body.holders, body.until, body.reason)


def _change(entry: _ResourceEntry | _LeaseEntry | _CursorEntry) -> Change:
    match entry:
        case _ResourceEntry(kind, id_, before, after):
            decode = _resource_decoders[kind]
            return ResourceChange(kind, id_, decode(before), decode(after))
        case _LeaseEntry():
            e, number = entry, int.from_bytes(entry.address, "big")
            before_lease, after_lease = _lease(e.scope, number, e.before), _lease(e.scope, number, e.after)
            told = (e.event, e.machine, e.host, e.reason, e.holder)
            return LeaseChange(e.scope, number, before_lease, after_lease, *told)
        case _CursorEntry(pool, first, last):
            return CursorChange(pool, int.from_bytes(first, "big"), int.from_bytes(last, "big"))


def decode_changes(value: bytes) -> tuple[Change, ...]:
    """Exact inverse of encode_changes."""
    return tuple([_change(entry) for entry in _decode(value)])


def concerned_holder(change: LeaseChange) -> str:
    """The resourceRef that an event of an address is about: who came, else who went, else who it says, or has it."""
    before = change.before.holders if change.before else ()
    after = change.after.holders if change.after else ()
    for one, other in ((after, before), (before, after)):
        for holder in one:
            if holder not in other:
                return holder.ref
    return change.holder or (after[0].ref if after else "")
