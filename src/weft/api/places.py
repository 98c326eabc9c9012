"""From a URL's path to the collection or resource that it names; segments without regard to case (MS-NCNBI 3.1.5)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from weft.api.faults import UnknownPath
from weft.core.commands import Path
from weft.model.kinds import BY_NAME, KINDS, Kind, owned_id, owned_kind, resource_ref

VERSIONS = ("v1", "v2", "v3", "v3.1", "v3.2", "v4", "v4.2", "v5", "v6", "v6.1", "v7", "v7.1")
"""Of /networking; all serve the same resources."""


class Place(msgspec.Struct, frozen=True):
    """A collection or one resource of it. `path` names the resource, or the parent of the collection.

    What has an owner (a machine's checkpoints) is named below it, though it is a resource of its own.
    """

    kind: Kind
    path: Path | None
    listed: bool

    @property
    def resource_id(self) -> str:
        """The id in the URL; of a resource only."""
        assert self.path is not None and not self.listed
        return self.path.below[-1][1] if self.path.below else self.path.id


def place_of(prefix: str, segments: Sequence[str]) -> Place:
    """Read the segments behind the version. Raises UnknownPath, saying what there is."""
    kind = BY_NAME.get(segments[0].lower()) if segments else None
    if kind is None or kind.prefix != prefix:
        raise UnknownPath(
            f"There is no collection '{'/'.join(segments[:1])}' here. Served: {', '.join(_names(prefix))}."
        )
    if len(segments) == 1:
        return Place(kind, None, True)
    if kind.owner:
        raise UnknownPath(f"One of {kind.name} is named below its owner: {prefix}/v1/{kind.owner}/ID/{kind.name}/NAME.")
    below: list[tuple[str, str]] = []
    for at in range(2, len(segments), 2):
        kind = _child(kind, segments[at])
        if at + 1 == len(segments):
            return Place(kind, Path(_top(segments), segments[1], tuple(below)), True)
        below.append((kind.name, segments[at + 1]))
    return Place(kind, Path(_top(segments), segments[1], tuple(below)), False)


def _top(segments: Sequence[str]) -> str:
    return BY_NAME[segments[0].lower()].name


def _child(kind: Kind, name: str) -> Kind:
    owned = owned_kind(kind, name)
    if owned is not None:
        return owned
    for child in kind.children:
        if child.name.lower() == name.lower():
            return child
    below = (*kind.children, *(each for each in KINDS if each.owner == kind.name))
    names = ", ".join(each.name for each in below) or "none"
    raise UnknownPath(f"{kind.name} have no '{name}'. Children served: {names}.")


def _names(prefix: str) -> list[str]:
    return sorted(kind.name for kind in KINDS if kind.prefix == prefix)


def find(state: Any, path: Path) -> tuple[Any, str] | None:
    """The resource or child that a path names and its resourceRef as stored; None if it or a parent is absent."""
    kind = BY_NAME[path.kind.lower()]
    if path.below and (owned := owned_kind(kind, path.below[0][0])) is not None:
        # it may have outlived its owner
        resource = state.get(owned.name, owned_id(path.id, path.below[0][1])) if len(path.below) == 1 else None
        return None if resource is None else (resource, resource_ref(owned, resource.resource_id))
    resource = state.get(kind.name, path.id)
    if resource is None:
        return None
    ref = resource_ref(kind, resource.resource_id)
    for name, wanted in path.below:
        kind = _child(kind, name)
        children = getattr(resource.properties, kind.member)
        resource = next((child for child in children if child.resource_id.lower() == wanted.lower()), None)
        if resource is None:
            return None
        ref = f"{ref}/{kind.name}/{resource.resource_id}"
    return resource, ref


def path_of_ref(ref: str) -> Path | None:
    """The path of a resourceRef; None where it names nothing that could be served."""
    segments = [part for part in ref.split("/") if part]
    prefix = "networking"
    if segments and segments[0].lower() == "weft":
        prefix, segments = "weft", segments[1:]
    try:
        place = place_of(prefix, segments)
    except UnknownPath:
        return None
    return None if place.listed else place.path
