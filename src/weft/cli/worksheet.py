"""Reads the worksheet of a virtual network by hand: hosts with provider addresses, machines with customer addresses.

One row for each customer address: host, provider address, machine, customer address, VSID, and where wanted network,
MAC address and the hosts' gateway. A row without a machine is a host alone. Columns stand in any order under any of
several names; fields are parted by commas, semicolons or tabs. Called by weft.cli.worksheet_command.

Promises: rows whose every cell can be read, and a fault for each that cannot, by line and cell. Whether the rows agree
with each other is asked in weft.cli.worksheet_sheet.
"""

import csv
import ipaddress
import re
from collections.abc import Iterator

import msgspec

from weft.cli.faults import Fault, nearest
from weft.cli.inventory_sources import Source
from weft.model.errors import Invalid
from weft.model.values import VSID_MAX, VSID_MIN, IpAddress, check_resource_id, mac_digits, parse_mac

COLUMNS = {
    "host": ("host", "hostname", "server", "hypervhost", "hypervisor"),
    "provider address": ("provideraddress", "pa", "providerip", "provideripaddress", "hostaddress"),
    "machine": ("machine", "vm", "vmname", "virtualmachine", "machinename", "guest"),
    "customer address": ("customeraddress", "ca", "customerip", "customeripaddress", "ip", "ipaddress"),
    "VSID": ("vsid", "virtualsubnetid", "virtualsubnet", "subnetid"),
    "network": ("network", "virtualnetwork", "vmnetwork", "tenant", "routingdomain"),
    "MAC": ("mac", "macaddress"),
    "gateway": ("gateway", "providergateway", "defaultgateway", "nexthop"),
}
"""Columns, and how they may be headed; case, spaces and what stands in brackets do not count."""
_NEEDED = ("host", "provider address", "machine", "customer address", "VSID")
_NAMES = {name: column for column, names in COLUMNS.items() for name in names}
_OF_A_MACHINE = ("machine", "customer address", "VSID")
_PREFACE = re.compile(r'"?sep=.?"?\s*$', re.IGNORECASE)
"""What Excel puts before the head line."""
_LETTERS = 26


class Place(msgspec.Struct, frozen=True):
    """An address with the length of its prefix; None where the sheet does not say."""

    address: IpAddress
    length: int | None = None


class Row(msgspec.Struct, frozen=True):
    """A line of the sheet. What it leaves empty is empty here; `machine` is empty for a host alone."""

    line: int
    host: str
    provider: Place | None
    machine: str
    customer: Place | None
    vsid: int
    network: str = ""
    mac: str = ""
    gateway: IpAddress | None = None


class Heads(msgspec.Struct, frozen=True):
    """Where each column is. `delimiter` parts the fields."""

    at: dict[str, int]
    delimiter: str
    line: int

    def cell(self, column: str, line: int) -> str:
        """As spreadsheets name it: B3."""
        return f"{_letters(self.at.get(column, 0))}{line}"


class Read(msgspec.Struct):
    """What a sheet holds, beside what is wrong with it and what was left out."""

    rows: list[Row]
    heads: Heads | None
    faults: list[Fault]
    notes: list[Fault]
    unread: set[str]
    """Hosts, in lower case, with a row that could not be read: what it says of them is not known."""


def read_worksheet(source: Source) -> Read:
    """Every row that can be read; nothing after a head line that cannot be understood."""
    read = Read([], None, [], [], set())
    lines = source.text.splitlines()
    start = next((at for at, line in enumerate(lines) if line.strip() and not _PREFACE.match(line)), None)
    if start is None:
        read.faults.append(source.fault(1, f"is empty; its first line names the columns: {', '.join(COLUMNS)}"))
        return read
    delimiter = max(",;\t", key=lines[start].count)
    reader = csv.reader(lines[start:], delimiter=delimiter)
    try:
        read.heads = _heads(source, next(reader), Heads({}, delimiter, start + 1), read)
        for values in reader if read.heads is not None else ():
            _add(source, start + reader.line_num, values, read)
    except csv.Error as error:
        read.faults.append(source.fault(start + reader.line_num, f'not CSV: {error}; quote the field with "'))
    return read


def _letters(at: int) -> str:
    """The letters of a column, by its number from 0."""
    text = ""
    while at >= 0:
        at, letter = at // _LETTERS - 1, at % _LETTERS
        text = chr(ord("A") + letter) + text
    return text


def fault_at(source: Source, heads: Heads, line: int, column: str, message: str) -> Fault:
    """A fault of one cell: `cell B3 (provider address): ...`."""
    return source.fault(line, f"cell {heads.cell(column, line)} ({column}): {message}")


def _heads(source: Source, names: list[str], found: Heads, read: Read) -> Heads | None:
    for at, name in enumerate(names):
        plain = re.sub(r"\(.*?\)|[^a-z0-9]", "", name.lower())
        column = _NAMES.get(plain)
        guess = nearest(plain, _NAMES, 0.8) if column is None else None
        where = f"{_letters(at)}{found.line}"
        if column in found.at:
            read.faults.append(source.fault(found.line, f"cell {where}: a second column of {column}; keep one"))
        elif column is not None:
            found.at[column] = at
        elif guess is not None and _NAMES[guess] not in found.at:
            message = f"cell {where}: unknown column '{name.strip()}'; did you mean {_NAMES[guess]}?"
            read.faults.append(source.fault(found.line, message))
        elif plain:
            read.notes.append(source.fault(found.line, f"cell {where}: column '{name.strip()}' is left out"))
    missing = [column for column in _NEEDED if column not in found.at]
    if missing:
        message = f"no column {' and '.join(missing)}; the first line names the columns: {', '.join(COLUMNS)}"
        read.faults.append(source.fault(found.line, message))
    return None if read.faults else found


def _add(source: Source, line: int, values: list[str], read: Read) -> None:
    assert read.heads is not None
    cells = {column: values[at].strip() for column, at in read.heads.at.items() if at < len(values)}
    if not any(cells.values()):
        return
    faults = [fault_at(source, read.heads, line, column, message) for column, message in _faults(cells)]
    read.faults += faults
    if faults:
        read.unread.add(cells.get("host", "").lower())
    else:
        read.rows.append(_row(line, cells))


def _faults(cells: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Column and fault of each cell that cannot be read by itself."""
    filled = [column for column in _OF_A_MACHINE if cells.get(column)]
    needed = ("host", *(_OF_A_MACHINE if filled else ()))
    for column in needed:
        if not cells.get(column):
            yield column, "is empty; fill it in, or take the whole row out"
    for column in ("host", "machine", "network"):
        if cells.get(column) and not _is_name(cells[column]):
            yield column, f"'{cells[column]}' is no name; write 1 to 64 letters, digits, dots, dashes, underscores"
    for column, example in (("provider address", "192.168.1.10"), ("customer address", "10.1.1.11")):
        try:
            _place(cells.get(column, ""))
        except ValueError:
            yield column, f"'{cells[column]}' is no IP address; write it as {example} or {example}/24"
    try:
        _address(cells.get("gateway", ""))
    except ValueError:
        yield "gateway", f"'{cells['gateway']}' is no IP address; write the router's address as 192.168.1.1"
    vsid = cells.get("VSID", "")
    if vsid and not (vsid.isascii() and vsid.isdecimal() and VSID_MIN <= int(vsid) <= VSID_MAX):
        yield "VSID", f"'{vsid}' is no virtual subnet id; write a number from {VSID_MIN} to {VSID_MAX}"
    try:
        parse_mac(cells["MAC"]) if cells.get("MAC") else None
    except Invalid as error:
        yield "MAC", f"{error.message} Leave it empty to have one granted"


def _row(line: int, cells: dict[str, str]) -> Row:
    return Row(
        line=line,
        host=cells["host"],
        provider=_place(cells.get("provider address", "")),
        machine=cells.get("machine", ""),
        customer=_place(cells.get("customer address", "")),
        vsid=int(cells.get("VSID") or 0),
        network=cells.get("network", ""),
        mac=mac_digits(parse_mac(cells["MAC"])) if cells.get("MAC") else "",
        gateway=_address(cells.get("gateway", "")),
    )


def _is_name(text: str) -> bool:
    try:
        check_resource_id(text)
    except Invalid:
        return False
    return True


def _place(text: str) -> Place | None:
    """Raises ValueError."""
    if "/" in text:
        found = ipaddress.ip_interface(text)
        return Place(found.ip, found.network.prefixlen)
    address = _address(text)
    return Place(address) if address is not None else None


def _address(text: str) -> IpAddress | None:
    """Raises ValueError."""
    return ipaddress.ip_address(text) if text else None
