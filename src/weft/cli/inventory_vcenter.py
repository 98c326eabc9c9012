"""Reads what vCenter says: PowerCLI's objects as ConvertTo-Json writes them, and the JSON of its API as govc does.

PowerCLI: Get-VM, Get-Template, Get-NetworkAdapter, Get-Snapshot, Get-VMHost, Get-VDPortgroup, Get-AdvancedSetting. The
API (vim25): VirtualMachine, HostSystem and networks, as managed objects (`self`) or as answers of the property
collector (`obj`, `propSet`), in any case: older releases of govc write Name for name. An address that vCenter assigned
or a host generated counts as dynamic; both keep it as long as it clashes with nothing that they know of.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from weft.cli.inventory_members import Members, addresses, inner, is_true, lower, name_of, objects, text
from weft.cli.inventory_sources import ByFile, Found, Origin, Source, checkpoints_of
from weft.model.errors import InvalidMacAddress
from weft.model.inventory import Adapter, AddressPool, Host, Machine, Mode, Power
from weft.model.values import mac_colons, parse_mac

MANAGER = "vcenter"
_POWER: dict[str, Power] = {
    "poweredon": "running", "1": "running",
    "poweredoff": "off", "0": "off",
    "suspended": "saved", "2": "saved",
}  # fmt: skip
"""PowerState; PowerCLI's enumeration as a number is in this order too."""
_MODES: dict[str, Mode] = {"manual": "static", "assigned": "dynamic", "generated": "dynamic"}
"""addressType: set by hand, by vCenter, by the host."""
_ASSIGNED_FIRST, _ASSIGNED_LAST = 0x005056800000, 0x005056BFFFFF
"""What vCenters assign by themselves: 00-50-56, 80 + the instance's id (0 to 63), two octets at random."""
_HOSTS_OUI = 0x000C29
"""What ESXi hosts generate from."""


class _Vm(msgspec.Struct):
    name: str
    id: str
    host: str
    source: Source
    power: Power = "off"
    template: bool = False
    adapters: list[Adapter] = []
    checkpoints: dict[str, list[Adapter]] = {}


class VCenterReader:
    """Takes files one after another; adapters, snapshots, hosts and networks find each other in whatever file."""

    looks_inside = False

    def __init__(self) -> None:
        self._hosts: ByFile[tuple[Host, Source]] = ByFile()
        """By their number in vCenter, or by name."""
        self._networks: ByFile[str] = ByFile()
        """Names of portgroups by their keys."""
        self._vms: ByFile[_Vm] = ByFile()
        self._managed: list[tuple[Members, Source]] = []
        """Virtual machines of the API: read when all networks are known."""
        self._adapters: list[tuple[Members, Source]] = []
        self._snapshots: list[tuple[Members, Source]] = []
        self._pools: list[tuple[AddressPool, Source]] = []
        self._faults: list[tuple[Source, str, str]] = []

    def take(self, said: Members, source: Source) -> bool:
        """Keep an object of vCenter."""
        if "propset" in said and "obj" in said:
            said = _gathered(said)
        if "self" in said or "_typename" in said:
            return self._take_managed(text(inner(said, "self"), "type") or text(said, "_typename"), said, source)
        if "value" in said and text(said, "name", "key") == "instance.id":
            self._instance(said, source)
        elif "macaddress" in said and ("networkname" in said or "addresstype" in said):
            self._adapters.append((said, source))
        elif text(said, "key").lower().startswith("dvportgroup-"):
            self._networks.put(text(said, "key"), source, text(said, "name"))
        elif "quiesced" in said or ("sizemb" in said and "vm" in said):
            self._snapshots.append((said, source))
        elif "build" in said and "version" in said and "name" in said:
            name = text(said, "name")
            made = Host(name=name, type="vmware", cluster=name_of(said, "cluster"), managed_by=MANAGER)
            self._hosts.put(name, source, (made, source))
        elif "name" in said and ("powerstate" in said or "istemplate" in said):
            self._powercli(said, source)
        else:
            return False
        return True

    def _take_managed(self, kind: str, said: Members, source: Source) -> bool:
        own = text(inner(said, "self"), "value")
        if kind == "VirtualMachine" or (kind == "VirtualMachineConfigInfo" and "hardware" in said):
            self._managed.append((said, source))
        elif kind == "HostSystem":
            parent = inner(said, "parent")
            cluster = text(parent, "value") if text(parent, "type") == "ClusterComputeResource" else ""
            name = text(said, "name") or text(inner(said, "summary", "config"), "name") or own
            made = Host(name=name, type="vmware", cluster=cluster, managed_by=MANAGER)
            self._hosts.put(own, source, (made, source))
        elif kind in ("Network", "DistributedVirtualPortgroup", "OpaqueNetwork"):
            self._networks.put(own, source, text(said, "name") or own)
        else:
            return False
        return True

    def _instance(self, said: Members, source: Source) -> None:
        """The range that vCenter assigns from follows from its id."""
        word = text(said, "value")
        if not word.isdecimal() or int(word) > 63:
            self._faults.append((source, "instance.id", f"instance.id '{word}' is not 0 to 63"))
            return
        first = _ASSIGNED_FIRST + (int(word) << 16)
        server = name_of(said, "entity") or source.stem
        pool = AddressPool(
            name=f"vCenter {server} (id {word})", first=mac_colons(first), last=mac_colons(first | 0xFFFF)
        )
        self._pools.append((pool, source))

    def _powercli(self, said: Members, source: Source) -> None:
        vm = _Vm(
            name=text(said, "name"),
            id=text(said, "persistentid", "instanceuuid") or text(said, "id"),
            host=name_of(said, "vmhost", "host") or source.host,
            source=source,
            template=is_true(said.get("istemplate")),
        )
        vm.power = self._power(text(said, "powerstate"), vm)
        self._vms.put(text(said, "id") or vm.name, source, vm)

    def _power(self, word: str, vm: _Vm) -> Power:
        if word and word.lower() not in _POWER:
            words = f"{vm.name}: PowerState '{word}' is not PoweredOn, PoweredOff or Suspended"
            self._faults.append((vm.source, word, words))
        return _POWER.get(word.lower(), "off")

    def finish(self, found: Found) -> None:
        """Add the machines of all files with their adapters and snapshots, the hosts and the vCenters' ranges."""
        for said, source in self._managed:
            self._manage(said, source)
        for said, source in self._snapshots:
            vm = self._owner(said, source, "the snapshot")
            if vm is not None:
                vm.checkpoints.setdefault(text(said, "name"), [])
        for said, source in self._adapters:
            vm = self._owner(said, source, "the adapter")
            if vm is not None:
                snapshot = name_of(said, "snapshot")
                within = vm.checkpoints.setdefault(snapshot, []) if snapshot else vm.adapters
                within.append(self._adapter(said, source))
        found.hosts += [(host, Origin(source)) for host, source in self._hosts.all()]
        clusters = {host.name.lower(): host.cluster for host, _ in self._hosts.all()}
        for vm in self._vms.all():
            found.machines.append((_machine(vm, clusters), Origin(vm.source)))
            if vm.host and vm.host.lower() not in clusters:
                clusters[vm.host.lower()] = ""
                found.hosts.append((Host(name=vm.host, type="vmware", managed_by=MANAGER), Origin(vm.source)))
        found.pools += [(pool, Origin(source)) for pool, source in self._pools]
        found.faults += [source.fault(source.line_with(word), words) for source, word, words in self._faults]

    def _owner(self, said: Members, source: Source, what: str) -> _Vm | None:
        vm = self._vms.get(text(said, "vmid", "parentid"), source)
        if vm is not None:
            return vm
        name, at = name_of(said, "vm", "parent"), text(said, "macaddress", "name")
        named = [one for one in self._vms.all() if name and one.name.lower() == name.lower()]
        if len(named) == 1:
            return named[0]
        why = f"is of one of {len(named)} machines called {name}; write VMId too" if named else _NOBODYS
        self._faults.append((source, at, f"{what} {at} {why}"))
        return None

    def _manage(self, said: Members, source: Source) -> None:
        """A virtual machine of the API, or its configuration alone."""
        config = inner(said, "config") or (said if "hardware" in said else {})
        name = text(said, "name") or text(config, "name")
        own = text(inner(said, "self"), "value") or text(config, "instanceuuid") or name
        if "hardware" not in config:
            words = f"{name or own} has no config.hardware: its adapters are not told"
            self._faults.append((source, f'"{own}"', words))
            return
        runtime = inner(said, "runtime")
        host = text(inner(runtime, "host"), "value")
        known = self._hosts.get(host, source)
        vm = _Vm(
            name=name,
            id=text(config, "instanceuuid", "uuid") or own,
            host=known[0].name if known is not None else host or source.host,
            source=source,
            template=is_true(config.get("template")),
        )
        self._vms.put(own, source, vm)
        vm.power = self._power(text(runtime, "powerstate"), vm)
        guest = {text(net, "deviceconfigid"): net for net in objects(inner(said, "guest").get("net"))}
        for device in objects(inner(config, "hardware").get("device")):
            if "macaddress" in device:
                net = guest.get(text(device, "key"), {})
                vm.adapters.append(self._adapter({**device, **self._plug(device, net, source)}, source))
        for tree in _trees(inner(said, "snapshot").get("rootsnapshotlist")):
            vm.checkpoints.setdefault(text(tree, "name"), [])

    def _plug(self, device: Members, net: Members, source: Source) -> Members:
        """Where a device of the API is plugged in, and the guest's addresses, as PowerCLI would say it."""
        backing = inner(device, "backing")
        key = text(inner(backing, "port"), "portgroupkey") or text(inner(backing, "network"), "value")
        named = self._networks.get(key, source) or text(backing, "devicename") or text(net, "network")
        return {"networkname": named or key or text(backing, "opaquenetworkid"), "ipaddresses": net.get("ipaddress")}

    def _adapter(self, said: Members, source: Source) -> Adapter:
        mac, network = text(said, "macaddress"), name_of(said, "networkname")
        return Adapter(
            name=text(said, "label") or text(inner(said, "deviceinfo"), "label") or text(said, "name"),
            mac=mac,
            mode=self._mode(text(said, "addresstype").lower(), mac, source),
            network=self._networks.get(network, source) or network,
            ip_addresses=addresses(said.get("ipaddresses"), said.get("ipaddress")),
        )

    def _mode(self, word: str, mac: str, source: Source) -> Mode:
        if word and word not in _MODES:
            self._faults.append((source, mac, f"{mac}: addressType '{word}' is not manual, assigned or generated"))
        return _MODES.get(word) or _mode_of(mac)


_NOBODYS = "is of no machine of Get-VM or Get-Template here; write those too"


def _mode_of(mac: str) -> Mode:
    """By the block that it is from, where nobody said it."""
    try:
        number = parse_mac(mac)
    except InvalidMacAddress:
        return "static"
    return "dynamic" if _ASSIGNED_FIRST <= number <= _ASSIGNED_LAST or number >> 24 == _HOSTS_OUI else "static"


def _machine(vm: _Vm, clusters: dict[str, str]) -> Machine:
    return Machine(
        name=vm.name,
        id=vm.id,
        host=vm.host,
        power=vm.power,
        clustered=bool(clusters.get(vm.host.lower())),
        is_template=vm.template,
        interfaces=tuple(vm.adapters),
        checkpoints=checkpoints_of(vm.checkpoints),
    )


def _trees(value: Any) -> Iterator[Members]:
    """Snapshots and those below them."""
    waiting = list(objects(value))
    while waiting:
        tree = waiting.pop(0)
        yield tree
        waiting = [*objects(tree.get("childsnapshotlist")), *waiting]


def _gathered(said: Members) -> Members:
    """An answer of the property collector as the object itself: config.name becomes a member of config."""
    made: Members = {"self": said.get("obj")}
    for each in objects(said.get("propset")):
        *way, last = text(each, "name").lower().split(".")
        place = made
        for step in way:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        value = each.get("val")
        place[last] = lower(value) if isinstance(value, dict) and not isinstance(place.get(last), dict) else value
    return made
