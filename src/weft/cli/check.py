"""Reads one document of a file for what is wrong in it. Pure. Used by cli.rules and cli.rules_addresses."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from weft.cli.documents import Document
from weft.cli.faults import Fault
from weft.cli.shapes import Place
from weft.model.errors import InvalidMacAddress
from weft.model.values import IpAddress, IpPrefix, parse_mac


class Check:
    """Gathers the faults of one document; each reader answers the value, or None where it is absent or wrong."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(self.document.fault(place, message))

    def at(self, place: Place) -> Any:
        value: Any = self.document.body
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def required(self, place: Place, example: str) -> Any:
        value = self.at(place)
        if value in (None, "", {}) and place not in self.document.lines:
            self.fault(place[:-1], f"{place[-1]} is missing; write {place[-1]}: {example}")
        return value

    def items(self, *place: str | int) -> Iterator[Place]:
        """The places of a list's children."""
        for i in range(len(self.at(place) or ())):
            yield (*place, i)

    def mac(self, place: Place) -> int | None:
        text = self.at(place)
        if not text:
            return None
        try:
            return parse_mac(text)
        except InvalidMacAddress:
            self.fault(place, f"'{text}' is not a MAC address; write six octets such as 00-1D-D8-B7-1C-00")
            return None

    def address(self, place: Place) -> IpAddress | None:
        text = self.at(place)
        if not text:
            return None
        try:
            return ipaddress.ip_address(text)
        except ValueError:
            self.fault(place, f"'{text}' is not an IP address; write one such as 10.1.1.11")
            return None

    def prefix(self, place: Place) -> IpPrefix | None:
        text = self.at(place)
        if not text:
            return None
        try:
            return ipaddress.ip_network(text)
        except ValueError:
            self.fault(place, f"'{text}' is not a prefix; {_right_prefix(text)}")
            return None


def _right_prefix(text: str) -> str:
    try:
        return f"its host bits are set: write {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        return "write one such as 10.1.1.0/24"
