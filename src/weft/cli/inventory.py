"""Reads an inventory from files of any known format, several at once: what `weft audit` and `weft import` begin with.

A format is recognised by what is in the file, never by its name: libvirt XML, JSON of Hyper-V's, VMM's and VMware's
PowerShell modules and of vCenter's API, our own JSON, CSV. UTF-8, UTF-16 and their byte order marks are read (Windows
PowerShell writes UTF-16). Promises: either an inventory whose every value can be read, or BadFile with every fault, its
file and its line.
"""

import codecs
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from weft.cli.faults import BadFile, Fault
from weft.cli.inventory_csv import read_csv
from weft.cli.inventory_hyperv import HyperVReader
from weft.cli.inventory_json import fault_of, read_json
from weft.cli.inventory_libvirt import LibvirtReader
from weft.cli.inventory_members import cut_text, hand_out
from weft.cli.inventory_scvmm import ScvmmReader
from weft.cli.inventory_sources import Found, Origin, Source
from weft.cli.inventory_vcenter import VCenterReader
from weft.core.audit.survey import InvalidInventory, Survey, survey
from weft.model.inventory import Host, Inventory, Machine, MachineCheckpoint

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; UTF-32's begins like UTF-16's, so it comes first."""
_SUFFIXES = (".xml", ".json", ".csv", ".txt")
_OWN_MEMBERS = {"hosts", "machines", "macPools"}
_POWERSHELL = {
    "vmname", "vmid", "computername", "macaddress", "macaddressminimum", "state", "virtualnetworkadapters",
    "virtualmachinestate", "statusstring", "powerstate", "vmhost", "self", "build",
}  # fmt: skip
"""Members of other tools' objects that ours have not."""
_STDIN = Path("/dev/stdin")
"""The file that the shell opened, where the system tells it by this name."""
_QUOTED = re.compile(r"'([^']+)'")
_LEVELS = re.compile(r"(hosts|machines|macPools)\[(\d+)\]\.?(.*)")


class Read(msgspec.Struct, frozen=True):
    """An inventory as it was written, and as the audit reads it."""

    inventory: Inventory
    survey: Survey
    files: tuple[Path, ...]
    """Every file that was opened, of folders and of HOST=FILE too."""


def read_inventory(words: list[str]) -> Read:
    """The inventory of all files named: FILE, FOLDER, HOST=FILE, or - for standard input. Raises BadFile."""
    found, readers = Found(), _Readers()
    for word in words:
        for source in _sources(word, found.faults):
            found.files.append(source.path)
            _dispatch(source, found, readers)
    if not found.faults:
        for reader in (readers.hyperv, readers.scvmm, readers.vcenter, readers.libvirt):
            reader.finish(found)
    if found.faults:
        raise BadFile(found.faults)
    return _joined(found)


class _Readers:
    """Those that keep what they read until all files are read."""

    def __init__(self) -> None:
        self.libvirt, self.hyperv, self.scvmm, self.vcenter = (
            LibvirtReader(),
            HyperVReader(),
            ScvmmReader(),
            VCenterReader(),
        )


def _dispatch(source: Source, found: Found, readers: _Readers) -> None:
    start = source.text.lstrip()[:1]
    if not start:
        found.faults.append(source.fault(1, "is empty; write an inventory into it"))
    elif "\0" in source.text:
        message = "is no text; a spreadsheet is saved as CSV (UTF-8), other tools' files as JSON or XML"
        found.faults.append(source.fault(1, message))
    elif start == "<":
        readers.libvirt.read(source, found)
    elif start in "{[":
        _json(source, found, readers)
    else:
        read_csv(source, found)


def _json(source: Source, found: Found, readers: _Readers) -> None:
    try:
        _ours_or_theirs(source, found, readers)
    except msgspec.DecodeError as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        line = source.text.encode()[: int(at[1])].count(b"\n") + 1 if at else source.text.count("\n") + 1
        found.faults.append(source.fault(line, f"not JSON: {error}; write it again"))
    except RecursionError:
        found.faults.append(source.fault(1, "is nested more deeply than any inventory; write it again"))


def _ours_or_theirs(source: Source, found: Found, readers: _Readers) -> None:
    """Ours if it has our shape, or looks as if it should have; else what another tool wrote."""
    try:
        read_json(source, found)
    except msgspec.ValidationError as error:
        value = msgspec.json.decode(source.text)
        if _is_own(value):
            found.faults.append(fault_of(source, error))
        else:
            _objects(value, source, found, readers)


def _objects(value: Any, source: Source, found: Found, readers: _Readers) -> None:
    """VMM's and vCenter's objects are told by members that Hyper-V's have not, so they come first."""
    taken, unknown = hand_out(value, source, (readers.scvmm, readers.vcenter, readers.hyperv))
    if taken:
        found.faults += unknown
    elif cut := cut_text(value):
        message = "its objects were cut off by ConvertTo-Json; add -Depth 5"
        found.faults.append(source.fault(source.line_with(cut), message))
    else:
        message = "holds no object of Hyper-V's, VMM's or VMware's tools that is known here, and no inventory of ours"
        found.faults.append(source.fault(1, f"{message}; see docs/inventory.md and weft audit --schema"))


def _is_own(value: Any) -> bool:
    """Whether a shape that is not ours was meant to be: our members at the top, and nothing of PowerShell's below."""
    if not isinstance(value, dict) or not _OWN_MEMBERS & set(value):
        return False
    groups = [value[name] for name in _OWN_MEMBERS & set(value)]
    entries = [each for group in groups for each in (group if isinstance(group, list) else [group])]
    told = any(_POWERSHELL & {name.lower() for name in each} for each in entries if isinstance(each, dict))
    return not told and not cut_text(groups)


def read_source(name: str, faults: list[Fault]) -> Source | None:
    """One file, or standard input for `-`; None with its fault noted."""
    if name == "-":
        return _understood(_STDIN, "stdin", sys.stdin.buffer.read(), faults)
    return _read(Path(name), "", faults)


def _sources(word: str, faults: list[Fault]) -> list[Source]:
    """The files that a word of the command line names."""
    if word == "-":
        source = read_source(word, faults)
        return [] if source is None else [source]
    path, host = Path(word), ""
    if not path.exists() and "=" in word:
        host, _, name = word.partition("=")
        path = Path(name)
    if not path.is_dir():
        source = _read(path, host, faults)
        return [] if source is None else [source]
    files = sorted(each for each in path.rglob("*") if each.suffix.lower() in _SUFFIXES and each.is_file())
    if not files:
        faults.append(Fault(str(path), 1, f"holds no file that ends in {', '.join(_SUFFIXES)}; name a file"))
    read = [_read(each, host, faults) for each in files]
    return [msgspec.structs.replace(source, whole_folder=True) for source in read if source is not None]


def _read(path: Path, host: str, faults: list[Fault]) -> Source | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        faults.append(Fault(str(path), 1, f"cannot be read ({error.strerror}); name a file that is there"))
        return None
    return _understood(path, str(path), content, faults, host)


_NO_TEXT = "is neither UTF-8 nor UTF-16 text; save it as UTF-8"


def _understood(path: Path, file: str, content: bytes, faults: list[Fault], host: str = "") -> Source | None:
    named = Path(file)
    try:
        return Source(path, file, _decoded(content), host, named.resolve().parent.name, False, named.stem)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        workbook = content.startswith(b"PK")
        faults.append(Fault(file, line, "is a workbook or an archive; save its sheet as CSV" if workbook else _NO_TEXT))
        return None


def _decoded(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    # UTF-16 without a mark: every other byte of what begins an inventory is zero
    if content[1:2] == b"\0":
        return content.decode("utf-16-le")
    return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-8")


def _joined(found: Found) -> Read:
    """All of it as one inventory: what several files say of one host is put together, a machine counts once."""
    hosts: dict[str, tuple[Host, Origin]] = {}
    for host, origin in found.hosts:
        known = hosts.get(host.name.lower())
        hosts[host.name.lower()] = (_both(known[0], host), known[1]) if known else (host, origin)
    machines: dict[tuple[str, ...], tuple[Machine, Origin]] = {}
    for machine, origin in found.machines:
        key = _key(machine, len(machines))
        there = machines.get(key)
        machines[key] = (_both_machines(there[0], machine), there[1]) if there else (machine, origin)
    told: dict[str, list[Any]] = {
        "hosts": list(hosts.values()),
        "machines": list(machines.values()),
        "macPools": found.pools,
    }
    inventory = Inventory(
        hosts=tuple(host for host, _ in hosts.values()),
        machines=tuple(machine for machine, _ in machines.values()),
        mac_pools=tuple(pool for pool, _ in found.pools),
    )
    try:
        return Read(inventory, survey(inventory), tuple(found.files))
    except InvalidInventory as error:
        raise BadFile(_placed(place, message, told) for place, message in error.faults) from None


def _key(machine: Machine, at: int) -> tuple[str, ...]:
    """Two entries with one id on one host are one machine; without an id each stands for itself."""
    return (machine.id.lower(), machine.host.lower()) if machine.id else (str(at), machine.name, machine.host)


def _both(one: Host, other: Host) -> Host:
    """What either says; where both do, the first."""
    named = {switch.name.lower(): switch for switch in (*other.switches, *one.switches)}
    return Host(
        name=one.name,
        type=one.type or other.type,
        cluster=one.cluster or other.cluster,
        dynamic_mac_range=one.dynamic_mac_range or other.dynamic_mac_range,
        addresses=one.addresses or other.addresses,
        switches=tuple(named.values()),
        managed_by=one.managed_by or other.managed_by,
    )


def _both_machines(one: Machine, other: Machine) -> Machine:
    """What the first says, and of its interfaces and checkpoints what only the other tells."""
    held = {point.name: point.interfaces for point in other.checkpoints}
    held |= {point.name: point.interfaces for point in one.checkpoints if point.interfaces or point.name not in held}
    return msgspec.structs.replace(
        one,
        clustered=one.clustered or other.clustered,
        interfaces=one.interfaces or other.interfaces,
        checkpoints=tuple(MachineCheckpoint(name=name, interfaces=interfaces) for name, interfaces in held.items()),
    )


def _placed(place: str, message: str, told: dict[str, list[Any]]) -> Fault:
    """A fault of a value, at the file and line that it was read from."""
    at = _LEVELS.fullmatch(place)
    assert at is not None
    read: tuple[Any, Origin] = told[at[1]][int(at[2])]
    thing, origin = read
    quoted = _QUOTED.search(message)
    line = origin.line or origin.source.line_with(quoted[1] if quoted else thing.name)
    return origin.source.fault(line, f"{at[1].removesuffix('s')} '{thing.name}', {at[3]}: {message}")
