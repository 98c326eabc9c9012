"""From state to what hosts are told: one stream of records per routing domain, one per host, and what changed in them.

The publisher calls `touched` after it has applied a commit and sends, for every (stream, key) in it, what `records`
then answers: a record to put, or None to remove. Applied in any grouping of commits, that leaves exactly what
`network_stream` and `host_stream` compile from nothing. `touched` may name a key whose record did not change; it never
leaves one out. Its cost follows what the changes touch: the addresses of an interface, the interfaces of a machine or
of a server, the hosts of a network; only a change of the encapsulation visits every network, for one record each.
"""

from collections.abc import Collection, Iterable

from weft.core import policy_host, policy_network
from weft.core.changes import Change
from weft.core.policy_touched import Touched
from weft.core.policy_view import view
from weft.core.state import State
from weft.model.records import HostRecord, NetworkRecord, Record, RecordKey

__all__ = ["EDITION", "Stream", "host_stream", "network_stream", "record", "records", "touched", "view"]

EDITION = 3
"""Of what records are made for a state. It goes up, once per release, when the same state makes other records than
before (a member more, a new kind): agents that have followed an earlier edition are then told everything anew."""

NETWORK = "network"
HOST = "host"

Stream = tuple[str, int | str]
"""("network", rdid) or ("host", server id in lower case)."""


def network_stream(state: State, rdid: int) -> dict[RecordKey, NetworkRecord]:
    """Every record of a routing domain by key; empty if there is no such network."""
    return policy_network.stream(state, rdid)


def host_stream(state: State, server_id: str) -> dict[RecordKey, HostRecord]:
    """Every record of a host by key; empty if there is no such server."""
    return policy_host.stream(state, server_id.lower())


def record(state: State, stream: Stream, key: RecordKey) -> Record | None:
    """The record at a key of a stream as the state has it now; None if there is none."""
    kind, name = stream
    if kind == NETWORK and isinstance(name, int):
        return policy_network.record(state, name, key)
    return policy_host.record(state, str(name).lower(), key)


def records(state: State, stream: Stream, keys: Collection[RecordKey]) -> dict[RecordKey, Record | None]:
    """`record` of each of these keys, in their order. What many of them follow from is worked out once."""
    kind, name = stream
    if kind == NETWORK and isinstance(name, int):
        return {**policy_network.records(state, name, keys)}
    return {key: record(state, stream, key) for key in keys}


def touched(state: State, changes: Iterable[Change]) -> set[tuple[Stream, RecordKey]]:
    """Keys of every record that these changes may have made, altered or removed. `state` has them applied already."""
    return Touched(state, changes).keys()
