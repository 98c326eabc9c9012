"""The rules of the envelope, once for all kinds: ids, etags, preconditions, children (MS-NCNBI 1.3.1.1 and 2.2.2).

Called by core.decide.puts. A PUT of a parent gives new etags to itself and all below; a PUT of a child to itself, all
below and all above it, not to its siblings.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from weft.core.commands import Path, Preconditions
from weft.core.state import child_kind, child_of
from weft.model.errors import Invalid, NotFound, PreconditionFailed
from weft.model.kinds import Kind, resource_ref
from weft.model.resources import AnyResource, Resource
from weft.model.values import NewId, check_resource_id

Retag = Callable[[Kind, AnyResource, NewId], AnyResource]

_GUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def check_preconditions(when: Preconditions, target: AnyResource | None, ref: str) -> None:
    """The table of MS-NCNBI 1.3.1.1 for a PUT. Raises PreconditionFailed."""
    if when.if_match is not None:
        if target is None:
            raise PreconditionFailed(f"{ref} does not exist, and If-Match asks that it does.", target=ref)
        _check_match(when.if_match, target, ref)
    if when.if_none_match is not None and target is not None and _matches(when.if_none_match, target.etag):
        raise PreconditionFailed(f"{ref} exists, and If-None-Match asks that it does not.", target=ref)


def check_delete(when: Preconditions, target: AnyResource, ref: str) -> None:
    """The same for a DELETE of something that exists."""
    if when.if_match is not None:
        _check_match(when.if_match, target, ref)


def _check_match(header: str, target: AnyResource, ref: str) -> None:
    if not _matches(header, target.etag):
        raise PreconditionFailed(
            f"{ref} has changed: its etag is {target.etag} now. Read it again and repeat the request.", target=ref
        )


def _matches(header: str, etag: str) -> bool:
    """Weak comparison with `*` or a list of etags, quoted or not."""
    wanted = {one.strip().removeprefix("W/").strip('"').lower() for one in header.split(",")}
    return "*" in wanted or etag.removeprefix("W/").strip('"').lower() in wanted


def ref_of(path: Path, kind: Kind) -> str:
    """The resourceRef of a path, as the client spelt its ids."""
    if kind.owner:
        return resource_ref(kind, path.id)
    root = f"/weft/{kind.name}/{path.id}" if kind.prefix == "weft" else f"/{kind.name}/{path.id}"
    return root + "".join(f"/{name}/{child}" for name, child in path.below)


def guid(text: str) -> str:
    """An instanceId as a client sent it, in our form; empty if it is no GUID."""
    plain = text.strip("{}").lower()
    return plain if _GUID.match(plain) else ""


def with_child(kind: Kind, parent: AnyResource, below: tuple[tuple[str, str], ...], child: AnyResource) -> AnyResource:
    """The parent with one child put in (where it was, or last). Raises PreconditionFailed if one between is missing."""
    name, child_id = below[0]
    kind_below = child_kind_of(kind, name)
    old = child_of(parent, kind_below, child_id)
    if len(below) > 1:
        if old is None:
            raise PreconditionFailed(f"The parent {name}/{child_id} does not exist: create it first.")
        child = with_child(kind_below, old, below[1:], child)
    elif child.resource_id and child.resource_id.lower() != child_id.lower():
        raise Invalid(
            f"The body's resourceId '{child.resource_id}' is not '{child_id}' of the URL.", code="InvalidResourceName"
        )
    else:
        child = msgspec.structs.replace(child, resource_id=child_id)
    children: tuple[AnyResource, ...] = getattr(parent.properties, kind_below.member)
    if old is None:
        children = (*children, child)
    else:
        children = tuple(child if one is old else one for one in children)
    return _with_children(parent, kind_below, children)


def without_child(kind: Kind, parent: AnyResource, below: tuple[tuple[str, str], ...]) -> AnyResource:
    """The parent without one child, which must be there."""
    name, child_id = below[0]
    kind_below = child_kind_of(kind, name)
    old = child_of(parent, kind_below, child_id)
    assert old is not None
    children: tuple[AnyResource, ...] = getattr(parent.properties, kind_below.member)
    if len(below) > 1:
        rest = without_child(kind_below, old, below[1:])
        return _with_children(parent, kind_below, tuple(rest if one is old else one for one in children))
    return _with_children(parent, kind_below, tuple(one for one in children if one is not old))


def _with_children(parent: AnyResource, kind: Kind, children: tuple[AnyResource, ...]) -> AnyResource:
    properties = msgspec.structs.replace(parent.properties, **{kind.member: children})
    return msgspec.structs.replace(parent, properties=properties)


def child_kind_of(kind: Kind, name: str) -> Kind:
    """A kind of children that can be written alone. Raises NotFound."""
    found = child_kind(kind, name)
    if found is None or not found.child_actions:
        raise NotFound(f"{kind.name} have no {name} that can be written alone.")
    return found


def check_children(kind: Kind, properties: Any) -> None:
    """Ids of children: present, well formed, unique without regard to case. Raises InvalidResourceName."""
    for below in kind.children:
        seen: set[str] = set()
        for child in getattr(properties, below.member):
            key = check_resource_id(child.resource_id).lower()
            if key in seen:
                raise Invalid(f"Two {below.name} are named '{child.resource_id}'.", code="InvalidResourceName")
            seen.add(key)
            if below.children:
                check_children(below, child.properties)


def carry(kind: Kind, sent: AnyResource, old: AnyResource | None) -> AnyResource:
    """What was sent with the ids, spelling and etags of what is stored; new ones are empty, to be filled by `retag`."""
    properties = sent.properties
    for below in kind.children:
        children: tuple[AnyResource, ...] = getattr(properties, below.member)
        if children:
            carried = tuple(_carry_child(below, child, old) for child in children)
            properties = msgspec.structs.replace(properties, **{below.member: carried})
    return Resource(
        resource_id=sent.resource_id if old is None else old.resource_id,
        instance_id="" if old is None else old.instance_id,
        etag="" if old is None else old.etag,
        tags=sent.tags,
        resource_metadata=sent.resource_metadata,
        properties=properties,
    )


def _carry_child(kind: Kind, child: AnyResource, parent: AnyResource | None) -> AnyResource:
    return carry(kind, child, None if parent is None else child_of(parent, kind, child.resource_id))


def new_etag(new_id: NewId) -> str:
    """The last 44 random bits of a fresh GUID tell one version of a resource from all others well enough, and a text of
    at most 15 characters takes two thirds of a GUID's memory."""
    return f'W/"{new_id()[-11:]}"'


def retag(kind: Kind, resource: AnyResource, new_id: NewId) -> AnyResource:
    """One new etag for a resource and all below it; instance ids where they are missing."""
    return _tag(kind, resource, new_etag(new_id), new_id)


def _tag(kind: Kind, resource: AnyResource, etag: str, new_id: NewId) -> AnyResource:
    properties = resource.properties
    for below in kind.children:
        children: tuple[AnyResource, ...] = getattr(properties, below.member)
        if children:
            tagged = tuple(_tag(below, child, etag, new_id) for child in children)
            properties = msgspec.structs.replace(properties, **{below.member: tagged})
    return Resource(
        resource_id=resource.resource_id,
        instance_id=resource.instance_id or new_id(),
        etag=etag,
        tags=resource.tags,
        resource_metadata=resource.resource_metadata,
        properties=properties,
    )


def retag_alone(kind: Kind, resource: AnyResource, new_id: NewId) -> AnyResource:
    """A new etag for a resource but nothing below it."""
    return msgspec.structs.replace(resource, etag=new_etag(new_id))


def retag_along(
    kind: Kind, resource: AnyResource, below: tuple[tuple[str, str], ...], new_id: NewId, end: Retag = retag
) -> AnyResource:
    """New etags from a resource down to the child that `below` names; `end` treats that child."""
    if not below:
        return end(kind, resource, new_id)
    name, child_id = below[0]
    kind_below = child_kind_of(kind, name)
    children: tuple[AnyResource, ...] = getattr(resource.properties, kind_below.member)
    tagged = tuple(
        retag_along(kind_below, child, below[1:], new_id, end)
        if child.resource_id.lower() == child_id.lower()
        else child
        for child in children
    )
    return retag_alone(kind, _with_children(resource, kind_below, tagged), new_id)
