"""One request and its answer as values, so that a handler is a function from Call to Answer. Used by every handler."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from weft.core.commands import Actor, Preconditions
from weft.model.errors import Invalid

Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json; charset=utf-8"

encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """A request whose body has been read. `segments` is the decoded path without empty parts."""

    method: str
    segments: list[str]
    query_string: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    actor: Actor
    request_id: str
    _query: dict[str, str] | None = field(default=None)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters, names in lower case, the last of equal ones."""
        if self._query is None:
            pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
            self._query = {name.lower(): value for name, value in pairs}
        return self._query

    def header(self, name: bytes) -> str | None:
        """A header's text, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1").strip()

    @property
    def when(self) -> Preconditions:
        """If-Match and If-None-Match."""
        if_match, if_none_match = self.header(b"if-match"), self.header(b"if-none-match")
        if if_match is None and if_none_match is None:
            return _ANY
        return Preconditions(if_match, if_none_match)

    @property
    def client_request_id(self) -> str | None:
        """The client's own id of this request: a retry with it gets the same answer (MS-NCNBI 1.3.1.2)."""
        return self.header(b"x-ms-client-request-id") or None

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false; present without a value it is true. Raises Invalid."""
        if not self.query_string:
            return False
        value = self.query.get(name.lower(), "false").lower()
        if value in ("true", "1", ""):
            return True
        if value in ("false", "0"):
            return False
        raise Invalid(f"?{name}={value}: write true or false.", target=name)

    def only(self, *names: str) -> None:
        """Raise Invalid for any other query parameter: ignoring it would answer another question."""
        for name in self.query:
            if name not in names:
                known = ", ".join(f"?{each}" for each in names) or "none"
                raise Invalid(f"?{name} is not known here; known: {known}.", target=name)

    def number(self, name: str, default: float, most: float, least: float = 0) -> float:
        """A query parameter that is a number from `least` to `most`. Raises Invalid."""
        text = self.query.get(name.lower())
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = least - 1.0
        if not least <= value <= most:
            raise Invalid(f"?{name}={text}: write a number from {least:g} to {most:g}.", target=name)
        return value


_ANY = Preconditions()


@dataclass(slots=True)
class Answer:
    """What goes back. With `stream` the body is sent piece by piece and `body` is not used."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    content_type: bytes = JSON
    stream: AsyncIterator[bytes] | None = None


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    """An answer of one JSON document."""
    return Answer(status, encode(value), headers)
