"""Network adapters of machines and of checkpoints, virtual switches, VLANs."""

from collections.abc import Iterator

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.machines import check_switch, passed
from weft.fakes.hyperv.cmdlets.spec import (
    Spec,
    adapter_of,
    checkpoint_of,
    listed,
    mac_of,
    machines,
    number,
    refused,
    text,
)
from weft.fakes.hyperv.host import FakeHost, HyperVError, wrong_state
from weft.fakes.hyperv.machine import Nic, Vlan, Vm, VmCheckpoint
from weft.fakes.hyperv.powershell.comparison import wildcard
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import EnumValue, Record
from weft.model.values import GROUP_BIT, Mac
from weft.sim.hyperv import OFF

Found = tuple[Vm, VmCheckpoint | None, Nic]

_DEVICE = "Failed to modify device 'Synthetic Ethernet Port'."
_LOWEST_VSID, _HIGHEST_VSID = 4096, 16777215


def _chosen(host: FakeHost, call: Call, name: str = "Name") -> Iterator[Found]:
    """Those that -VMNetworkAdapter, -VMName, -VM or -VMSnapshot mean, and of these those that -Name means."""
    if call.has("VMNetworkAdapter"):
        for one in listed(call.get("VMNetworkAdapter")):
            yield adapter_of(host, one)
        return
    wanted = [wildcard(each) for each in call.texts(name)]
    if call.has("VMSnapshot"):
        held: list[tuple[Vm, VmCheckpoint | None]] = [
            checkpoint_of(host, one) for one in listed(call.get("VMSnapshot"))
        ]
    else:
        held = [(vm, None) for vm in machines(host, call, "VMName")]
    for vm, taken in held:
        for nic in vm.nics if taken is None else taken.adapters:
            if isinstance(nic, Nic) and (not wanted or any(each.fullmatch(nic.name) for each in wanted)):
                yield vm, taken, nic


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken, nic in list(_chosen(host, call)):
        yield objects.adapter(host, vm, nic, taken)


def _add(host: FakeHost, call: Call) -> Iterator[Record]:
    switch = text(call, "SwitchName")
    check_switch(host, switch)
    mac = _mac(text(call, "StaticMacAddress")) if call.has("StaticMacAddress") else Mac(0)
    for vm in list(machines(host, call, "VMName")):
        if vm.generation == 1 and vm.power != OFF:
            raise wrong_state(f"'{vm.name}' failed to add device 'Synthetic Ethernet Port'.")
        nic = Nic(host.around.new_id(), text(call, "Name", "Network Adapter"), mac, dynamic=not mac)
        nic.switch = switch
        host.add_adapter(vm, nic)
        yield from passed(call, objects.adapter(host, vm, nic))


def _remove(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken, nic in list(_chosen(host, call)):
        if taken is not None:
            raise refused("A network adapter of a checkpoint cannot be removed.")
        if vm.generation == 1 and vm.power != OFF:
            raise wrong_state(f"'{vm.name}' failed to remove device 'Synthetic Ethernet Port'.")
        host.change_adapters(vm, [each for each in vm.adapters if each is not nic])
        yield from ()


def _set(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken, nic in list(_chosen(host, call)):
        if call.has("StaticMacAddress") or call.get("DynamicMacAddress", False):
            _set_mac(host, call, (vm, taken, nic))
        if call.has("VirtualSubnetId"):
            nic.virtual_subnet_id = _vsid(number(call, "VirtualSubnetId"))
        for name in nic.settings:
            if call.has(name):
                nic.settings = nic.settings | {name: text(call, name).capitalize()}
        host.changed()
        yield from passed(call, objects.adapter(host, vm, nic, taken))


def _set_mac(host: FakeHost, call: Call, found: Found) -> None:
    vm, taken, nic = found
    mac = _mac(text(call, "StaticMacAddress")) if call.has("StaticMacAddress") else None
    if taken is not None:
        nic.blank() if mac is None else nic.pin(mac)
    elif vm.power != OFF:
        raise wrong_state(f"'{vm.name}' {_DEVICE[0].lower()}{_DEVICE[1:]}")
    elif mac is None:
        host.set_dynamic(vm, nic)
    else:
        host.set_static(vm, nic, mac)


def _mac(written: str) -> Mac:
    """Raises HyperVError for what cannot be an adapter's own."""
    mac = mac_of(written)
    if mac == 0 or mac & GROUP_BIT:
        raise HyperVError(_DEVICE, id="OperationFailed")
    return mac


def _vsid(vsid: int) -> int:
    if vsid and not _LOWEST_VSID <= vsid <= _HIGHEST_VSID:
        raise refused(f"Cannot validate argument on parameter 'VirtualSubnetId': {vsid} is out of range.")
    return vsid


def _connect(host: FakeHost, call: Call) -> Iterator[Record]:
    switch = text(call, "SwitchName")
    if call.has("VMSwitch"):
        switch = str(call.get("VMSwitch").get("Name"))
    check_switch(host, switch)
    for vm, _, nic in list(_chosen(host, call)):
        nic.switch = switch
        host.changed()
        yield from passed(call, objects.adapter(host, vm, nic))


def _disconnect(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, _, nic in list(_chosen(host, call)):
        nic.switch = ""
        host.changed()
        yield from passed(call, objects.adapter(host, vm, nic))


def _switches(host: FakeHost, call: Call) -> Iterator[Record]:
    names = call.texts("Name")
    for each in names:
        if not any(mark in each for mark in "*?["):
            check_switch(host, each)
    for each in host.switches:
        if not names or any(wildcard(name).fullmatch(each) for name in names):
            yield objects.virtual_switch(host, each)


def _get_vlan(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken, nic in list(_chosen(host, call, "VMNetworkAdapterName")):
        mode = EnumValue(nic.vlan.mode, 1 if nic.vlan.mode == "Access" else 0)
        parent = objects.adapter(host, vm, nic, taken)
        values = {"VMName": vm.name, "OperationMode": mode, "AccessVlanId": nic.vlan.access, "ParentAdapter": parent}
        yield Record(values, "VMNetworkAdapterVlanSetting")


def _set_vlan(host: FakeHost, call: Call) -> Iterator[Record]:
    for _, _, nic in list(_chosen(host, call, "VMNetworkAdapterName")):
        if call.get("Untagged", False):
            nic.vlan = Vlan()
        elif call.get("Access", False) and 1 <= number(call, "VlanId") <= 4094:
            nic.vlan = Vlan("Access", number(call, "VlanId"))
        else:
            raise refused("Cannot validate argument on parameter 'VlanId'.")
        host.changed()
        yield from ()


ADAPTERS = (
    Spec("Get-VMNetworkAdapter", _get, "@VMName <VM <VMSnapshot Name"),
    Spec("Add-VMNetworkAdapter", _add, "@VMName <VM SwitchName Name DynamicMacAddress StaticMacAddress Passthru"),
    Spec("Remove-VMNetworkAdapter", _remove, "@VMName <VMNetworkAdapter <VM Name"),
    Spec(
        "Set-VMNetworkAdapter",
        _set,
        "@VMName <VMNetworkAdapter <VM Name DynamicMacAddress StaticMacAddress MacAddressSpoofing DhcpGuard RouterGuard"
        " VirtualSubnetId Passthru",
    ),
    Spec("Connect-VMNetworkAdapter", _connect, "@VMName <VMNetworkAdapter @SwitchName VMSwitch Name Passthru"),
    Spec("Disconnect-VMNetworkAdapter", _disconnect, "@VMName <VMNetworkAdapter Name Passthru"),
    Spec("Get-VMSwitch", _switches, "@Name"),
    Spec("Get-VMNetworkAdapterVlan", _get_vlan, "@VMName <VMNetworkAdapter <VM <VMSnapshot VMNetworkAdapterName"),
    Spec(
        "Set-VMNetworkAdapterVlan",
        _set_vlan,
        "@VMName <VMNetworkAdapter <VM VMNetworkAdapterName Untagged Access VlanId",
    ),
)
