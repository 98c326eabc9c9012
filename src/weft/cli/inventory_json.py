"""Reads our own inventory format: the JSON of weft.model.inventory, whose schema `weft audit --schema` prints."""

import re

import msgspec

from weft.cli.inventory_sources import Found, Origin, Source
from weft.model.inventory import Inventory

_decode = msgspec.json.Decoder(Inventory).decode
_MEMBERS = re.compile(r"field `([^`]+)`|'([^']*)'")


def read_json(source: Source, found: Found) -> None:
    """Add what the file holds. Its faults are those of its shape; values are judged with all other files'."""
    try:
        inventory = _decode(source.text)
    except msgspec.ValidationError as error:
        message = str(error).replace("Object contains unknown field", "there is no field")
        named = _MEMBERS.search(message)
        line = source.line_with(f'"{named[1] or named[2]}"') if named else 1
        found.faults.append(source.fault(line, f"{message}; see: weft audit --schema"))
        return
    origin = Origin(source)
    found.hosts += [(host, origin) for host in inventory.hosts]
    found.machines += [(machine, origin) for machine in inventory.machines]
    found.pools += [(pool, origin) for pool in inventory.mac_pools]
