"""Reads what PowerShell's Hyper-V module says, as ConvertTo-Json writes it, in any grouping and any number of files.

Get-VMHost, Get-VM, Get-VMSnapshot and Get-VMNetworkAdapter objects are told apart by their members, whose names are
taken in any case; enumerations may be numbers (Windows PowerShell) or words (PowerShell 7). docs/inventory.md has
the line that writes such a file.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from weft.cli.inventory_sources import Found, Origin, Source
from weft.model.inventory import Adapter, DynamicMacRange, Host, Machine, MachineCheckpoint, Switch

_STATES = {
    "2": "running", "4": "stopping", "6": "saved", "9": "paused", "10": "starting", "11": "reset",
    "32773": "saving", "32776": "pausing", "32777": "resuming", "32779": "fastsaved", "32780": "fastsaving",
    "32781": "forceshutdown", "32782": "forcereboot", "32783": "runningcritical", "32785": "stoppingcritical",
    "32786": "savedcritical", "32787": "pausedcritical", "32788": "startingcritical", "32789": "resetcritical",
    "32790": "savingcritical", "32791": "pausingcritical", "32792": "resumingcritical", "32793": "fastsavedcritical",
    "32794": "fastsavingcritical",
}  # fmt: skip
"""VMState, but for Other and Off. Critical: in that state, and its storage is gone."""
_UP = frozenset(_STATES.values())
_SAVED = ("saved", "saving", "fastsaved", "fastsaving")
_REPLICA = ("2", "replica", "3", "testreplica", "4", "extendedreplica")
"""VMReplicationMode."""
_CUT = re.compile(r"System\.|@\{|Microsoft\.HyperV\.")
"""How text begins that stands for an object: ConvertTo-Json goes two levels deep, unless it is told more."""

Members = dict[str, Any]
Key = tuple[str, str]
"""The machine's id (or name) and its host, both lower case: a replica has its primary's id, on another host."""


class _Vm(msgspec.Struct):
    name: str
    id: str
    host: str
    source: Source
    said: Members
    adapters: dict[str, Adapter] = {}
    checkpoints: dict[str, dict[str, Adapter]] = {}


class HyperVReader:
    """Takes files one after another; adapters and snapshots find their machines in whatever file those are."""

    def __init__(self) -> None:
        self._hosts: dict[str, tuple[Host, Source]] = {}
        self._vms: dict[Key, _Vm] = {}
        self._adapters: list[tuple[Members, Source]] = []
        self._snapshots: list[tuple[Members, Source]] = []
        self._cut: Source | None = None
        """A file whose adapters are not objects but their text, since ConvertTo-Json stops at a depth of two."""

    def read(self, value: Any, source: Source, found: Found) -> None:
        """Keep what the file holds."""
        known = 0
        for said in _objects(value):
            known += self._take(said, source)
        if known:
            return
        cut = cut_text(value)
        if cut:
            message = "its objects were cut off by ConvertTo-Json; add -Depth 5"
            found.faults.append(source.fault(source.line_with(cut), message))
            return
        message = "holds no object of Get-VM, Get-VMNetworkAdapter, Get-VMSnapshot or Get-VMHost, and no inventory"
        found.faults.append(source.fault(1, f"{message} of ours; see: weft audit --schema"))

    def _take(self, said: Members, source: Source) -> bool:
        if "macaddressminimum" in said:
            self._host(said, source)
        elif "macaddress" in said:
            # adapters of no machine are the host's own, or its physical ones
            if _text(said, "vmid", "vmname") and not _is_true(said.get("ismanagementos")):
                self._adapters.append((said, source))
        elif "snapshottype" in said:
            self._snapshots.append((said, source))
        elif "state" in said and _text(said, "name", "vmname"):
            self._vm(said, source)
        else:
            return False
        return True

    def _host(self, said: Members, source: Source) -> None:
        name = _text(said, "computername", "name") or source.host
        bounds = DynamicMacRange(
            first=_text(said, "macaddressminimum"),
            last=_text(said, "macaddressmaximum"),
            cursor=_text(said, "currentmacaddress"),
        )
        switches = [each for each in _items(said.get("switches")) if isinstance(each, dict)]
        host = Host(
            name=name,
            type="hyperv",
            cluster=_text(said, "cluster", "clustername"),
            dynamic_mac_range=bounds if bounds.first and bounds.last else None,
            addresses=_addresses(said),
            switches=tuple(
                Switch(name=_text(_lower(each), "name"), segment=_text(_lower(each), "segment")) for each in switches
            ),
        )
        self._hosts[name.lower()] = (host, source)

    def _vm(self, said: Members, source: Source) -> None:
        host = _text(said, "computername") or source.host
        vm = _Vm(_text(said, "name", "vmname"), _text(said, "vmid", "id"), host, source, said)
        self._vms[vm.id.lower() or vm.name.lower(), host.lower()] = vm
        if any(isinstance(each, str) for each in _items(said.get("networkadapters"))):
            self._cut = source

    def finish(self, found: Found) -> None:
        """Add the machines of all files, with their adapters and snapshots, and their hosts."""
        if self._cut is not None and not self._adapters:
            message = (
                "the network adapters were cut off by ConvertTo-Json; add -Depth 5, or a file of Get-VMNetworkAdapter"
            )
            found.faults.append(self._cut.fault(self._cut.line_with("NetworkAdapters"), message))
        for said, source in self._snapshots:
            owner = self._owner(said, source)
            owner.checkpoints.setdefault(_text(said, "name"), {})
        for said, source in self._adapters:
            self._plug(said, source)
        found.hosts += [(host, Origin(source)) for host, source in self._hosts.values()]
        names = {vm.host.lower(): (vm.host, vm.source) for vm in self._vms.values() if vm.host}
        found.hosts += [
            (Host(name=name, type="hyperv"), Origin(source))
            for key, (name, source) in names.items()
            if key not in self._hosts
        ]
        found.machines += [(_machine(vm), Origin(vm.source)) for vm in self._vms.values()]

    def _owner(self, said: Members, source: Source) -> _Vm:
        """The machine of an adapter or a snapshot; one that no Get-VM told of is made, off."""
        host = _text(said, "computername") or source.host
        vm_id, name = _text(said, "vmid"), _text(said, "vmname")
        for key in ((vm_id.lower(), host.lower()), (name.lower(), host.lower())):
            if key in self._vms:
                return self._vms[key]
        return self._vms.setdefault((vm_id.lower() or name.lower(), host.lower()), _Vm(name, vm_id, host, source, {}))

    def _plug(self, said: Members, source: Source) -> None:
        owner = self._owner(said, source)
        adapter = _adapter(said)
        checkpoint = _text(said, "vmsnapshotname", "vmcheckpointname")
        within = owner.checkpoints.setdefault(checkpoint, {}) if checkpoint else owner.adapters
        # one adapter may come both with its machine and by itself
        within[_text(said, "id") or f"{adapter.name} {adapter.mac} {len(within)}"] = adapter


def cut_text(value: Any) -> str:
    """The first text in it that stands where an object or a list was; empty if nothing was cut off."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            waiting += reversed(list(each.values()) if isinstance(each, dict) else each)
        elif isinstance(each, str) and _CUT.match(each):
            return each
    return ""


def _objects(value: Any) -> Iterator[Members]:
    """Every object in it, keys in lower case; those that a known one holds come too (a machine's adapters)."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            said = _lower(each)
            yield said
            waiting += reversed([below for below in said.values() if below.__class__ in _NESTED])
        elif isinstance(each, list):
            waiting += reversed(each)


_NESTED = (dict, list)


@functools.lru_cache(1024)
def _lower_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Remembered, since a hundred thousand objects have the same members."""
    return tuple(name.lower() for name in names)


def _lower(said: Members) -> Members:
    return dict(zip(_lower_names(tuple(said)), said.values(), strict=True))


def _text(said: Members, *names: str) -> str:
    """The first of these members that says something. Windows PowerShell writes some GUIDs as {"value": ..., "Guid":
    ...}."""
    for name in names:
        value = said.get(name)
        if value.__class__ is str:
            if value:
                return str(value)
        elif value.__class__ is int:
            return str(value)
        elif value.__class__ is dict and (within := _text(_lower(value), "value")):
            return within
    return ""


def _is_true(value: Any) -> bool:
    """True as JSON has it, or as text."""
    return value is True or (value.__class__ is str and value.lower() == "true")


def _addresses(said: Members) -> tuple[str, ...]:
    """IP addresses; too deep for ConvertTo-Json, they are one text with spaces between."""
    return tuple(word for each in _items(said.get("ipaddresses")) for word in str(each).split())


def _items(value: Any) -> list[Any]:
    """A list, whatever ConvertTo-Json made of it: {"value": [...], "Count": n}, a single one bare, or null."""
    if isinstance(value, dict):
        value = _lower(value).get("value")
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _machine(vm: _Vm) -> Machine:
    return Machine(
        name=vm.name,
        id=vm.id,
        host=vm.host,
        power=_power(_text(vm.said, "state").lower()),
        clustered=_is_true(vm.said.get("isclustered")),
        is_replica=_text(vm.said, "replicationmode").lower() in _REPLICA,
        interfaces=tuple(vm.adapters.values()),
        checkpoints=tuple(
            MachineCheckpoint(name=name, interfaces=tuple(adapters.values()))
            for name, adapters in vm.checkpoints.items()
        ),
    )


def _power(state: str) -> Literal["running", "off", "saved"]:
    """Number or word; what keeps an address in use, on its way up or down or without its storage, counts as running."""
    word = _STATES.get(state, state).removesuffix("critical")
    return "saved" if word in _SAVED else "running" if word in _UP else "off"


def _adapter(said: Members) -> Adapter:
    vlan = said.get("vlansetting")
    tag = _text(_lower(vlan), "accessvlanid") if isinstance(vlan, dict) else _text(said, "accessvlanid", "vlanid")
    vsid = _text(said, "virtualsubnetid")
    return Adapter(
        name=_text(said, "name"),
        mac=_text(said, "macaddress"),
        mode="dynamic" if _is_true(said.get("dynamicmacaddressenabled")) else "static",
        network=f"VSID {vsid}" if vsid not in ("", "0") else _text(said, "vmnetwork"),
        vlan=int(tag) if tag.isdecimal() and 0 < int(tag) <= 4094 else None,
        switch=_text(said, "switchname"),
        ip_addresses=_addresses(said),
    )
