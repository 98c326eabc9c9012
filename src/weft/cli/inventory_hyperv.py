"""Reads what PowerShell's Hyper-V module says, as ConvertTo-Json writes it, in any grouping and any number of files.

Get-VMHost, Get-VM, Get-VMSnapshot and Get-VMNetworkAdapter objects are told apart by their members, whose names are
taken in any case; enumerations may be numbers (Windows PowerShell) or words (PowerShell 7). docs/inventory.md has
the line that writes such a file.
"""

from typing import Literal

import msgspec

from weft.cli.inventory_members import Members, addresses, is_true, items, lower, text, vlan_of
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

    looks_inside = True
    """A machine may hold its adapters."""

    def __init__(self) -> None:
        self._hosts: dict[str, tuple[Host, Source]] = {}
        self._vms: dict[Key, _Vm] = {}
        self._adapters: list[tuple[Members, Source]] = []
        self._snapshots: list[tuple[Members, Source]] = []
        self._cut: Source | None = None
        """A file whose adapters are not objects but their text, since ConvertTo-Json stops at a depth of two."""

    def take(self, said: Members, source: Source) -> bool:
        """Keep an object of Get-VMHost, Get-VM, Get-VMSnapshot or Get-VMNetworkAdapter."""
        if "macaddressminimum" in said:
            self._host(said, source)
        elif "macaddress" in said:
            # adapters of no machine are the host's own, or its physical ones
            if text(said, "vmid", "vmname") and not is_true(said.get("ismanagementos")):
                self._adapters.append((said, source))
        elif "snapshottype" in said:
            self._snapshots.append((said, source))
        elif "state" in said and text(said, "name", "vmname"):
            self._vm(said, source)
        else:
            return False
        return True

    def _host(self, said: Members, source: Source) -> None:
        name = text(said, "computername", "name") or source.host
        bounds = DynamicMacRange(
            first=text(said, "macaddressminimum"),
            last=text(said, "macaddressmaximum"),
            cursor=text(said, "currentmacaddress"),
        )
        switches = [each for each in items(said.get("switches")) if isinstance(each, dict)]
        host = Host(
            name=name,
            type="hyperv",
            cluster=text(said, "cluster", "clustername"),
            dynamic_mac_range=bounds if bounds.first and bounds.last else None,
            addresses=addresses(said.get("ipaddresses")),
            switches=tuple(
                Switch(name=text(lower(each), "name"), segment=text(lower(each), "segment")) for each in switches
            ),
        )
        self._hosts[name.lower()] = (host, source)

    def _vm(self, said: Members, source: Source) -> None:
        host = text(said, "computername") or source.host
        vm = _Vm(text(said, "name", "vmname"), text(said, "vmid", "id"), host, source, said)
        self._vms[vm.id.lower() or vm.name.lower(), host.lower()] = vm
        if any(isinstance(each, str) for each in items(said.get("networkadapters"))):
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
            owner.checkpoints.setdefault(text(said, "name"), {})
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
        host = text(said, "computername") or source.host
        vm_id, name = text(said, "vmid"), text(said, "vmname")
        for key in ((vm_id.lower(), host.lower()), (name.lower(), host.lower())):
            if key in self._vms:
                return self._vms[key]
        return self._vms.setdefault((vm_id.lower() or name.lower(), host.lower()), _Vm(name, vm_id, host, source, {}))

    def _plug(self, said: Members, source: Source) -> None:
        owner = self._owner(said, source)
        adapter = _adapter(said)
        checkpoint = text(said, "vmsnapshotname", "vmcheckpointname")
        within = owner.checkpoints.setdefault(checkpoint, {}) if checkpoint else owner.adapters
        # one adapter may come both with its machine and by itself
        within[text(said, "id") or f"{adapter.name} {adapter.mac} {len(within)}"] = adapter


def _machine(vm: _Vm) -> Machine:
    return Machine(
        name=vm.name,
        id=vm.id,
        host=vm.host,
        power=_power(text(vm.said, "state").lower()),
        clustered=is_true(vm.said.get("isclustered")),
        is_replica=text(vm.said, "replicationmode").lower() in _REPLICA,
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
    tag = text(lower(vlan), "accessvlanid") if isinstance(vlan, dict) else text(said, "accessvlanid", "vlanid")
    vsid = text(said, "virtualsubnetid")
    return Adapter(
        name=text(said, "name"),
        mac=text(said, "macaddress"),
        mode="dynamic" if is_true(said.get("dynamicmacaddressenabled")) else "static",
        network=f"VSID {vsid}" if vsid not in ("", "0") else text(said, "vmnetwork"),
        vlan=vlan_of(tag),
        switch=text(said, "switchname"),
        ip_addresses=addresses(said.get("ipaddresses")),
    )
