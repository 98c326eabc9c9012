"""The documents of a file as values. Made by cli.files, used by the checks, by apply and by the lab."""

from typing import Any

import msgspec

from weft.cli.faults import Fault
from weft.cli.shapes import Place
from weft.model.kinds import BY_NAME, Kind, resource_ref

LAB_KINDS = ("lab/host", "lab/external", "lab/guest")


class Document(msgspec.Struct, frozen=True):
    """One resource of the file. `body` is what the API takes: camelCase, typed, only the members that were written."""

    kind: Kind
    id: str
    body: dict[str, Any]
    file: str
    lines: dict[Place, int]
    broken: bool = False
    """Too faulty to be looked into; it only counts as being there, so that no reference to it is called dangling."""

    @property
    def ref(self) -> str:
        return resource_ref(self.kind, self.id)

    @property
    def name(self) -> str:
        """As people write it: virtualNetworks/blue."""
        return f"{self.kind.name}/{self.id}"

    def line(self, place: Place = ()) -> int:
        """Line of a member, or of the nearest thing above it that has one."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, message: str) -> Fault:
        return Fault(self.file, self.line(place), message)


class LabDocument(msgspec.Struct, frozen=True):
    """What only the lab needs: `kind` is one of LAB_KINDS, `properties` as written."""

    kind: str
    id: str
    properties: dict[str, Any]
    file: str
    line: int


class Documents(msgspec.Struct, frozen=True):
    """A whole file. `notes` are remarks that do not stop it."""

    resources: tuple[Document, ...]
    lab: tuple[LabDocument, ...] = ()
    notes: tuple[Fault, ...] = ()


def document(kind_name: str, resource_id: str, properties: dict[str, Any], file: str = "-", line: int = 1) -> Document:
    """A resource that no file holds, for those who make one (the lab makes servers of its hosts)."""
    body = {"resourceId": resource_id, "properties": properties}
    return Document(BY_NAME[kind_name.lower()], resource_id, body, file, {(): line})
