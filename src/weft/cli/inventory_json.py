"""Reads our own inventory format: the JSON of weft.model.inventory, whose schema `weft audit --schema` prints."""

import re

import msgspec

from weft.cli.faults import Fault
from weft.cli.inventory_sources import Found, Origin, Source
from weft.model.inventory import Inventory

_decode = msgspec.json.Decoder(Inventory).decode
_MEMBERS = re.compile(r"field `([^`]+)`|'([^']*)'")


def read_json(source: Source, found: Found) -> None:
    """Add what the file holds. Values are judged with all other files'. Raises msgspec.ValidationError for another
    shape, and msgspec.DecodeError or RecursionError for what is no JSON."""
    inventory = _decode(source.text)
    origin = Origin(source)
    found.hosts += [(host, origin) for host in inventory.hosts]
    found.machines += [(machine, origin) for machine in inventory.machines]
    found.pools += [(pool, origin) for pool in inventory.mac_pools]


def fault_of(source: Source, error: msgspec.ValidationError) -> Fault:
    """What is wrong with the shape of a file in our format, at the first line that has the member's name."""
    message = str(error).replace("Object contains unknown field", "there is no field")
    named = _MEMBERS.search(message)
    line = source.line_with(f'"{named[1] or named[2]}"') if named else 1
    return source.fault(line, f"{message}; see: weft audit --schema")
