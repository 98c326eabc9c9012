"""Reads inventories from plain CSV: a row for each interface, columns by their heads in any order and case.

`machine` and `mac` are needed. Delimiters are comma, semicolon or tab, whichever the head line has most of.
"""

import csv
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from weft.cli.faults import nearest
from weft.cli.inventory_sources import Found, Origin, Source
from weft.model.inventory import Adapter, DynamicMacRange, Host, Machine, MachineCheckpoint

COLUMNS = (
    ("machine", "id", "host", "power", "interface", "mac", "mode", "network", "vlan", "switch", "ip", "checkpoint")
    + ("clustered", "template", "replica")
    + ("hosttype", "hostaddress", "cluster", "rangefirst", "rangelast")
)  # fmt: skip
_TRUE = ("true", "yes", "1", "x")
_POWERS: dict[str, Literal["running", "off", "saved"]] = {
    "running": "running", "on": "running", "poweredon": "running",
    "off": "off", "poweredoff": "off", "": "off", "stopped": "off", "shut off": "off",
    "saved": "saved", "suspended": "saved", "paused": "running",
}  # fmt: skip
_LONGEST_FIELD = 1 << 20
_PREFACE = re.compile(r'#TYPE|"?sep=.?"?\s*$', re.IGNORECASE)
"""What Export-Csv and Excel put before the head line."""

Row = dict[str, str]


class _Draft(msgspec.Struct):
    """A machine whose rows are still coming."""

    first: Row
    line: int
    interfaces: list[Adapter] = []
    checkpoints: dict[str, list[Adapter]] = {}


def read_csv(source: Source, found: Found) -> None:
    """Add what the file holds, and its faults: unknown words, a missing column, a row without a machine or host."""
    drafts: dict[tuple[str, str, str], _Draft] = {}
    hosts: dict[str, Host] = {}
    for line, row in _rows(source, found):
        host = row.get("host", "") or source.host
        if host:
            hosts[host.lower()] = _host(host, row, hosts.get(host.lower()))
        if row.get("machine", ""):
            key = (row["machine"], row.get("id", ""), host)
            draft = drafts.setdefault(key, _Draft(row, line))
            _add(draft, row, line, source, found)
        elif not host:
            found.faults.append(source.fault(line, "names neither a machine nor a host; fill one of the two in"))
    found.hosts += [(host, Origin(source)) for host in hosts.values()]
    found.machines += [(_machine(key, draft), Origin(source, draft.line)) for key, draft in drafts.items()]


def _rows(source: Source, found: Found) -> Iterator[tuple[int, Row]]:
    """Rows by column, with their lines; nothing after a head line that cannot be understood."""
    lines = source.text.splitlines()
    start = next((at for at, line in enumerate(lines) if line.strip() and not _PREFACE.match(line)), 0)
    head = lines[start] if lines else ""
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines[start:], delimiter=delimiter)
    try:
        heads = [name.strip().lower().replace("_", "").replace(" ", "") for name in next(reader, [])]
        wrong = _wrong_heads(heads)
        if wrong:
            found.faults.append(source.fault(start + 1, wrong))
            return
        for values in reader:
            row = {name: value.strip() for name, value in zip(heads, values, strict=False)}
            if any(row.values()):
                yield start + reader.line_num, row
    except csv.Error as error:
        found.faults.append(source.fault(start + reader.line_num, f'not CSV: {error}; quote the field with "'))


def _wrong_heads(heads: list[str]) -> str:
    """What is wrong with the head line; a column that looks like a known one would be missed in silence."""
    for name in heads:
        guess = nearest(name, COLUMNS, 0.8) if name not in COLUMNS else None
        if guess is not None and guess not in heads:
            return f"unknown column '{name}'; did you mean {guess}?"
    missing = [name for name in ("machine", "mac") if name not in heads]
    if missing:
        return f"no column {' and '.join(missing)}; the first line names the columns: {', '.join(COLUMNS)}"
    return ""


def _host(name: str, row: Row, known: Host | None) -> Host:
    """What a row tells of its host; later rows add what earlier ones leave out."""
    known = known or Host(name=name)
    bounds = DynamicMacRange(first=row.get("rangefirst", ""), last=row.get("rangelast", ""))
    return Host(
        name=known.name,
        type=known.type or row.get("hosttype", ""),
        cluster=known.cluster or row.get("cluster", ""),
        dynamic_mac_range=known.dynamic_mac_range or (bounds if bounds.first or bounds.last else None),
        addresses=known.addresses or tuple(row.get("hostaddress", "").split()),
    )


def _add(draft: _Draft, row: Row, line: int, source: Source, found: Found) -> None:
    vlan = row.get("vlan", "")
    if vlan and not (vlan.isdecimal() and int(vlan) <= 4094):
        found.faults.append(source.fault(line, f"vlan '{vlan}' is no number from 0 to 4094; leave it empty for none"))
        return
    mode = row.get("mode", "").lower() or "static"
    if mode not in ("static", "dynamic"):
        found.faults.append(source.fault(line, f"mode '{mode}' is unknown; write static or dynamic"))
        return
    if row.get("power", "").lower() not in _POWERS:
        found.faults.append(source.fault(line, f"power '{row['power']}' is unknown; write running, off or saved"))
        return
    adapter = Adapter(
        name=row.get("interface", ""),
        mac=row.get("mac", ""),
        mode="dynamic" if mode == "dynamic" else "static",
        network=row.get("network", ""),
        vlan=int(vlan) if vlan else None,
        switch=row.get("switch", ""),
        ip_addresses=tuple(row.get("ip", "").replace("|", " ").replace(";", " ").replace(",", " ").split()),
    )
    checkpoint = row.get("checkpoint", "")
    if checkpoint:
        draft.checkpoints.setdefault(checkpoint, []).append(adapter)
    else:
        draft.interfaces.append(adapter)


def _machine(key: tuple[str, str, str], draft: _Draft) -> Machine:
    name, machine_id, host = key
    row = draft.first
    return Machine(
        name=name,
        id=machine_id,
        host=host,
        power=_POWERS.get(row.get("power", "").lower(), "off"),
        clustered=row.get("clustered", "").lower() in _TRUE,
        is_template=row.get("template", "").lower() in _TRUE,
        is_replica=row.get("replica", "").lower() in _TRUE,
        interfaces=tuple(draft.interfaces),
        checkpoints=tuple(
            MachineCheckpoint(name=checkpoint, interfaces=tuple(interfaces))
            for checkpoint, interfaces in draft.checkpoints.items()
        ),
    )
