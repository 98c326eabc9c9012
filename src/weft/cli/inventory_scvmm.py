"""Reads what the PowerShell module of System Center VMM says, as ConvertTo-Json writes it, in any grouping.

Get-SCVirtualMachine, Get-SCVMTemplate, Get-SCVMHost, Get-SCMACAddressPool, Get-SCVirtualNetworkAdapter and
Get-SCVMCheckpoint objects are told apart by members that Hyper-V's own have not. VMM does not tell what a checkpoint
holds: a machine that a Hyper-V export tells of too is one machine, with the checkpoints of both.
"""

from collections.abc import Iterator

import msgspec

from weft.cli.inventory_members import (
    Members,
    addresses,
    inner,
    is_true,
    items,
    lower,
    name_of,
    objects,
    text,
    vlan_of,
)
from weft.cli.inventory_sources import Found, Origin, Source, checkpoints_of
from weft.model.inventory import Adapter, AddressPool, Host, Machine, Mode, Power

MANAGER = "scvmm"
_OFF = {"poweroff", "off", "stopped", "stored", "undertemplatecreation", "undercreation", "creationfailed"}
_SAVED = {"saved", "savedstate", "saving"}
"""Words of VirtualMachineState, Status and StatusString; what is neither keeps its addresses in use."""
_HAS_VM = frozenset({"virtualnetworkadapters", "vmcheckpoints", "virtualmachinestate"})
_IS_HOST = frozenset({"hostcluster", "vmhostgroup", "virtualizationplatform"})
_NO_MAC = "00:00:00:00:00:00"


class _Vm(msgspec.Struct):
    said: Members
    source: Source
    adapters: list[Adapter] = []
    checkpoints: dict[str, list[Adapter]] = {}


class ScvmmReader:
    """Takes files one after another; adapters and checkpoints find their machines in whatever file those are."""

    looks_inside = False

    def __init__(self) -> None:
        self._hosts: list[tuple[Members, Source]] = []
        self._vms: dict[str, _Vm] = {}
        """By VMM's own id, or name."""
        self._ids: dict[str, list[str]] = {}
        """Those keys by every id and name of the machines."""
        self._adapters: list[tuple[Members, Source]] = []
        self._checkpoints: list[tuple[Members, Source]] = []
        self._pools: list[tuple[AddressPool, Source]] = []
        self._faults: list[tuple[Source, str, str]] = []
        """File, a word to find the place by, and what is wrong."""

    def take(self, said: Members, source: Source) -> bool:
        """Keep an object of VMM."""
        if "macaddressrangestart" in said:
            bounds = (text(said, "macaddressrangestart"), text(said, "macaddressrangeend"))
            self._pools.append((AddressPool(name=text(said, "name") or "VMM", first=bounds[0], last=bounds[1]), source))
        elif _is_vm(said):
            self._vm(said, source)
        elif "macaddresstype" in said:
            self._adapters.append((said, source))
        elif "checkpointid" in said and "vm" in said:
            self._checkpoints.append((said, source))
        elif not _IS_HOST.isdisjoint(said) and text(said, "computername", "fqdn", "name"):
            self._hosts.append((said, source))
        else:
            return False
        return True

    def _vm(self, said: Members, source: Source) -> None:
        key = (text(said, "id", "vmid") or text(said, "name")).lower()
        vm = self._vms[key] = _Vm(said, source)
        for word in {text(said, member).lower() for member in ("vmid", "id", "name")}:
            self._ids.setdefault(word, []).append(key)
        nested = items(said.get("virtualnetworkadapters"))
        if any(not isinstance(each, dict) for each in nested):
            self._faults.append((source, "VirtualNetworkAdapters", f"{text(said, 'name')}: {_CUT_OFF}"))
        vm.adapters += [self._adapter(each, source) for each in objects(nested)]
        for each in items(said.get("vmcheckpoints")):
            if isinstance(each, dict):
                point = lower(each)
                held = [self._adapter(one, source) for one in objects(point.get("virtualnetworkadapters"))]
                vm.checkpoints.setdefault(text(point, "name"), []).extend(held)
            else:
                vm.checkpoints.setdefault(str(each), [])

    def _adapter(self, said: Members, source: Source) -> Adapter:
        network, subnet = name_of(said, "vmnetwork", "vmnetworkname"), name_of(said, "vmsubnet")
        mac = text(said, "macaddress", "ethernetaddress", "physicaladdress")
        return Adapter(
            name=f"slot {text(said, 'slotid')}" if text(said, "slotid") else "",
            mac="" if mac == _NO_MAC else mac,
            mode=self._mode(said, source),
            network=f"{network}/{subnet}" if network and subnet else network,
            vlan=vlan_of(text(said, "vlanid")) if said.get("vlanenabled", True) not in (False, "False") else None,
            switch=name_of(said, "virtualnetwork"),
            ip_addresses=addresses(said.get("ipv4addresses"), said.get("ipv6addresses")),
        )

    def _mode(self, said: Members, source: Source) -> Mode:
        word = text(said, "macaddresstype", "ethernetaddresstype", "physicaladdresstype").lower()
        if word in ("static", "dynamic"):
            return "static" if word == "static" else "dynamic"
        message = f"MACAddressType '{word}' is neither Static nor Dynamic; {_AS_WORDS}"
        self._faults.append((source, "MACAddressType", message))
        return "static"

    def finish(self, found: Found) -> None:
        """Add the machines of all files with their adapters and checkpoints, the hosts and the pools."""
        for said, source in self._adapters:
            self._plug(said, source)
        for said, source in self._checkpoints:
            vm = self._owner(said, ("vmid", "vm"), source, "the checkpoint")
            if vm is not None:
                vm.checkpoints.setdefault(text(said, "name"), [])
        spelled = {name.lower(): _host_name(said) for said, _ in self._hosts for name in _names(said)}
        hosts = [(_host(said), source) for said, source in self._hosts]
        found.hosts += [(host, Origin(source)) for host, source in hosts]
        known = {host.name.lower() for host, _ in hosts}
        for vm in self._vms.values():
            machine = self._machine(vm, spelled)
            found.machines.append((machine, Origin(vm.source)))
            if machine.host and machine.host.lower() not in known:
                known.add(machine.host.lower())
                made = Host(name=machine.host, type=_type(vm.said), managed_by=MANAGER)
                found.hosts.append((made, Origin(vm.source)))
        found.pools += [(pool, Origin(source)) for pool, source in self._pools]
        found.faults += [source.fault(source.line_with(word), words) for source, word, words in self._faults]

    def _plug(self, said: Members, source: Source) -> None:
        """An adapter by itself: it says whose it is by an id, else by its own name, which is its machine's."""
        vm = self._owner(said, ("vmid", "vm", "parentid", "name"), source, "the adapter")
        if vm is not None:
            adapter = self._adapter(said, source)
            vm.adapters += [adapter] if adapter not in vm.adapters else []

    def _owner(self, said: Members, by: tuple[str, ...], source: Source, what: str) -> _Vm | None:
        named = [word for member in by if (word := name_of(said, member).lower())]
        keys = next((self._ids[word] for word in named if word in self._ids), [])
        if len(keys) == 1:
            return self._vms[keys[0]]
        at = text(said, "macaddress", "name")
        why = f"is of one of {len(keys)} machines; write VMId too" if keys else _NOBODYS
        self._faults.append((source, at, f"{what} {at} {why}"))
        return None

    def _machine(self, vm: _Vm, spelled: dict[str, str]) -> Machine:
        said = vm.said
        host = text(said, "hostname", "vmhostname") or name_of(said, "vmhost") or vm.source.host
        return Machine(
            name=text(said, "name"),
            id=text(said, "vmid", "id"),
            host=spelled.get(host.lower(), host),
            power=self._power(vm),
            clustered=is_true(said.get("ishighlyavailable")),
            is_template=_is_template(said),
            interfaces=tuple(vm.adapters),
            checkpoints=checkpoints_of(vm.checkpoints),
        )

    def _power(self, vm: _Vm) -> Power:
        words = [text(vm.said, member) for member in ("virtualmachinestate", "status", "statusstring")]
        word = next((word.lower().replace(" ", "") for word in words if word and not word.isdecimal()), "")
        if not word and not _is_template(vm.said):
            message = f"the state of {text(vm.said, 'name')} is no word; {_AS_WORDS}"
            self._faults.append((vm.source, text(vm.said, "name"), message))
        return "saved" if word in _SAVED else "off" if word in _OFF or not word else "running"


_NOBODYS = "is of no machine of Get-SCVirtualMachine here; write those too"
_CUT_OFF = "its adapters were cut off by ConvertTo-Json; add -Depth 6"
_AS_WORDS = "write enumerations as words, as the line of docs/inventory.md does"


def _is_vm(said: Members) -> bool:
    if not _HAS_VM.isdisjoint(said):
        return True
    return "statusstring" in said and any(member in said for member in ("hostname", "vmhost", "vmhostname"))


def _is_template(said: Members) -> bool:
    return is_true(said.get("istemplate")) or text(said, "objecttype").lower() == "vmtemplate"


def _names(said: Members) -> Iterator[str]:
    """What machines may call their host: VMM has its name in full and short."""
    for member in ("computername", "fqdn", "fullyqualifieddomainname", "name"):
        if text(said, member):
            yield text(said, member)


def _host_name(said: Members) -> str:
    """The short one, as Hyper-V's own Get-VMHost has it."""
    return next(_names(said))


def _type(said: Members) -> str:
    platform = text(said, "virtualizationplatform").lower()
    return "vmware" if "vmware" in platform or "esx" in platform else "hyperv"


def _host(said: Members) -> Host:
    cluster = name_of(said, "hostcluster", "clustername") or text(inner(said, "hostcluster"), "clustername")
    return Host(name=_host_name(said), type=_type(said), cluster=cluster, managed_by=MANAGER)
