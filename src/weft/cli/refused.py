"""Where in a file it stands what the controller refused: the line of the member, or the nearest that the refusal names.

Called by cli.plan. Pure. A refusal has a target, a member's name or a path to it, and a message; where a document has
that member several times, the message tells which is meant: it names the child that the member is of, or the value.
"""

import re
from collections.abc import Iterator
from typing import Any

from weft.cli.documents import Document
from weft.cli.shapes import Place
from weft.model.errors import WeftError

_MARKED = re.compile(r"[0-9/]")
"""What a text has that is a value and no word of a sentence: an address, a prefix, a reference."""


class RefusedDocument(WeftError):
    """The controller refused one document of a file; the message begins with its FILE:LINE. Nothing was applied."""

    def __init__(self, document: Document, refusal: WeftError, member: str = "") -> None:
        line = document.line(place_of(document, member or refusal.target or "", refusal.message))
        super().__init__(
            f"{document.file}:{line}: {document.name}: {refusal.message}", code=refusal.code, target=refusal.target
        )
        self.status = refusal.status
        self.refusal = refusal


def place_of(document: Document, target: str, message: str) -> Place:
    """The place that a target such as `requests[3].properties.subnets[0].properties.x`, or just `x`, is about; empty
    for the document as a whole."""
    parts = [int(p) if p.isdigit() else p for p in re.split(r"[./\[\] ]+", target) if p]
    for start in range(len(parts)):
        for tail in (tuple(parts[start:]), ("properties", *parts[start:])):
            if tail in document.lines:
                return tail
    last = str(parts[-1]).lower() if parts else ""
    members = [place for place in document.lines if place and str(place[-1]).lower() == last]
    child = _child(document, message)
    if not members:
        return _value(document, message) or child
    beside = any(place[: len(child) - 1] == child[:-1] for place in members) if child else False
    if beside and not any(place[: len(child)] == child for place in members):
        return child  # which lacks what its neighbours have
    if len(members) == 1:
        return members[0]
    # of two that meet the later one is at fault
    meant, _, place = max((_evidence(document, one, message), at, one) for at, one in enumerate(members))
    return place if any(meant) else ()


def _evidence(document: Document, place: Place, message: str) -> tuple[int, int]:
    """How well a message fits a member: how many of the children around it are named, how much of its value."""
    around = (_at(document.body, place[:end]) for end in range(1, len(place)))
    names = [one["resourceId"] for one in around if isinstance(one, dict) and "resourceId" in one]
    value = _at(document.body, place)
    own = [text for text, _ in _texts(value, place)]
    return sum(_says(message, one) for one in names), max((len(one) for one in own if _says(message, one)), default=0)


def _value(document: Document, message: str) -> Place:
    """Where the value stands that a message quotes; the longest, since a prefix holds its address."""
    found = [
        (len(text), place)
        for text, place in _texts(document.body, ())
        if f"'{text}'" in message or (_MARKED.search(text) and _says(message, text))
    ]
    return max(found, default=(0, ()))[1]


def _child(document: Document, message: str) -> Place:
    """The innermost child that a message names, the last of several."""
    found = [
        (len(place), at, place[:-1])
        for at, place in enumerate(document.lines)
        if len(place) > 1 and place[-1] == "resourceId" and _says(message, _at(document.body, place))
    ]
    return max(found, default=(0, 0, ()))[2]


def _says(message: str, text: str | None) -> bool:
    """Does it stand there, and not only as a part of something longer?"""
    return bool(text) and bool(re.search(rf"(?<![\w./:-]){re.escape(str(text))}(?![\w/]|[.:-]\w)", message, re.I))


def _at(body: Any, place: Place) -> Any:
    for part in place:
        try:
            body = body[part]
        except (KeyError, IndexError, TypeError):
            return None  # left out, as no value of its type
    return body


def _texts(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    """All values below, as they are written in messages."""
    if isinstance(value, dict | list):
        for name, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(below, (*place, name))
    elif value is not None and (not place or place[-1] != "resourceId"):
        yield str(value), place
