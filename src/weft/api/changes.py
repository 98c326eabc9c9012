"""Changes for people and scripts: what ?dryRun=true and /weft/v1/watch show. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from weft.api import words
from weft.core.changes import Change, Commit, LeaseChange, ResourceChange
from weft.model.kinds import BY_NAME, resource_ref
from weft.model.leases import FREE, MAC_SCOPE, UNSEEN, Lease
from weft.model.values import mac_dashes, wall_text

_HIDDEN = {
    next(field.encode_name for field in msgspec.structs.fields(owner) if field.name == name)
    for owner, name in words.HIDDEN
}


def readable(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """One entry per resource and per address; where the next grant begins to look is nobody's business."""
    found: list[dict[str, Any]] = []
    for change in changes:
        if isinstance(change, ResourceChange):
            found.append(_resource(change))
        elif isinstance(change, LeaseChange) and change.scope not in UNSEEN:
            found.append(_lease(change))
    return found


def event_of(commit: Commit) -> dict[str, Any]:
    """What the watch sends for a revision."""
    event = {
        "revision": commit.revision,
        "time": wall_text(commit.wall),
        "actors": list(commit.actors),
        "changes": readable(commit.changes),
    }
    return event | ({"warnings": msgspec.to_builtins(commit.warnings)} if commit.warnings else {})


def _resource(change: ResourceChange) -> dict[str, Any]:
    kind = BY_NAME[change.kind.lower()]
    named = change.after if change.after is not None else change.before
    action = "created" if change.before is None else "deleted" if change.after is None else "updated"
    return {
        "resourceRef": resource_ref(kind, named.resource_id if named is not None else change.id),
        "action": action,
        "before": _plain(change.before),
        "after": _plain(change.after),
    }


def _plain(resource: Any) -> dict[str, Any] | None:
    """A resource as stored, without nulls and hidden members."""
    return None if resource is None else _without(msgspec.to_builtins(resource))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without(v) for k, v in value.items() if v is not None and k not in _HIDDEN}
    if isinstance(value, list | tuple):
        return [_without(each) for each in value]
    return value


def _lease(change: LeaseChange) -> dict[str, Any]:
    lease = change.after or change.before
    entry: dict[str, Any] = {
        "address": address_text(change.scope, change.address),
        "scope": change.scope,
        "action": change.event,
        "before": _state(change.before),
        "after": _state(change.after),
        "holders": [holder.ref for holder in lease.holders] if lease is not None else [],
    }
    extras = {"machine": change.machine, "host": change.host, "reason": change.reason}
    return entry | {name: value for name, value in extras.items() if value}


def _state(lease: Lease | None) -> str:
    return FREE if lease is None else lease.state


def address_text(scope: str, address: int) -> str:
    """The address of a lease in the notation of /weft/v1: a MAC with dashes, an IP address, a number for a VSID."""
    if scope == MAC_SCOPE:
        return mac_dashes(address)
    if scope.startswith("ip"):
        return ip_of(scope, address)
    return str(address)


def ip_of(scope: str, address: int) -> str:
    """Text of an IP address in a scope `ip4/...` or `ip6/...`."""
    kind = ipaddress.IPv4Address if scope.startswith("ip4") else ipaddress.IPv6Address
    return str(kind(address))
