"""Reading what VMM's cmdlets say, grouped or not, nested or not, and what of it is not taken in silence."""

import json
from typing import Any

import pytest

from tests.unit.cli.inventories import CAPTURED, HOST, SNAPSHOT, faults, one, read
from weft.model.inventory import Inventory

NIC = {
    "SlotId": 0,
    "MACAddress": "00:1D:D8:B7:1C:07",
    "MACAddressType": "Static",
    "VMNetwork": "blue",
    "VMSubnet": "web",
    "VirtualNetwork": "SETswitch",
    "VLanEnabled": True,
    "VLanID": 20,
    "IPv4Addresses": ["10.1.1.5"],
    "IPv6Addresses": [],
}
VM = {
    "Name": "web 1",
    "ID": "VMM-1",
    "VMId": "ID-1",
    "VirtualMachineState": "Running",
    "HostName": "hv1.corp.example",
    "IsHighlyAvailable": True,
    "VirtualNetworkAdapters": [NIC],
    "VMCheckpoints": [{"Name": "before"}],
}
SC_HOST = {"ComputerName": "HV1", "FQDN": "hv1.corp.example", "HostCluster": "c1", "VirtualizationPlatform": "HyperV"}
POOL = {"Name": "default", "MACAddressRangeStart": "00:1D:D8:B7:1C:00", "MACAddressRangeEnd": "00:1D:D8:F4:1F:FF"}
ALL = {"hosts": [SC_HOST], "vms": [VM], "pools": [POOL]}


def check(inventory: Inventory) -> None:
    machine = one(inventory)
    assert (machine.name, machine.id, machine.host, machine.power) == ("web 1", "ID-1", "HV1", "running")
    assert machine.clustered
    (nic,) = machine.interfaces
    assert (nic.mac, nic.mode, nic.network, nic.switch) == ("00:1D:D8:B7:1C:07", "static", "blue/web", "SETswitch")
    assert (nic.vlan, nic.ip_addresses) == (20, ("10.1.1.5",))
    assert [point.name for point in machine.checkpoints] == ["before"]
    (host,) = inventory.hosts
    assert (host.name, host.type, host.cluster, host.managed_by) == ("HV1", "hyperv", "c1", "scvmm")
    (pool,) = inventory.mac_pools
    assert (pool.name, pool.first, pool.last) == ("default", "00:1D:D8:B7:1C:00", "00:1D:D8:F4:1F:FF")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_in_one_file_whatever_powershell_writes_it_in(put: Any, encoding: str) -> None:
    check(read(put("scvmm.json", ALL, encoding)))


def test_each_cmdlet_in_a_file_of_its_own_single_or_listed(put: Any) -> None:
    adapter = {**NIC, "Name": "web 1", "VMId": "ID-1"}
    point = {"Name": "before", "CheckpointID": "C1", "VM": {"Name": "web 1"}}
    bare = {name: value for name, value in VM.items() if name not in ("VirtualNetworkAdapters", "VMCheckpoints")}
    files = [adapter, [point], bare, [SC_HOST], POOL]
    check(read(*[put(f"{at}.json", each) for at, each in enumerate(files)]))


def test_members_in_any_case_wrapped_lists_and_whole_objects(put: Any) -> None:
    nic = {**{name.lower(): value for name, value in NIC.items()}, "vmnetwork": {"Name": "blue", "ID": "x"}}
    vm = {**VM, "VirtualNetworkAdapters": {"value": [nic], "Count": 1}, "VMCheckpoints": {"Name": "before"}}
    host = {**SC_HOST, "HostCluster": {"Name": "c1", "ID": "y"}}
    check(read(put("x.json", {"vms": vm, "hosts": host, "pools": [POOL]})))


def test_zeros_dynamic_addresses_and_untagged_ports(put: Any) -> None:
    nic = {**NIC, "MACAddress": "00:00:00:00:00:00", "MACAddressType": "Dynamic", "VLanEnabled": False, "VMSubnet": ""}
    (read_nic,) = one(read(put("x.json", {**VM, "VirtualNetworkAdapters": nic}))).interfaces
    assert (read_nic.mac, read_nic.mode, read_nic.vlan, read_nic.network) == ("", "dynamic", None, "blue")


@pytest.mark.parametrize(
    ("members", "power"),
    [
        ({"VirtualMachineState": "Saved"}, "saved"),
        ({"VirtualMachineState": "PowerOff"}, "off"),
        ({"VirtualMachineState": 1, "StatusString": "Saved State"}, "saved"),
        ({"VirtualMachineState": "HostNotResponding"}, "running"),
        ({"VirtualMachineState": "Paused"}, "running"),
    ],
)
def test_states(put: Any, members: dict[str, Any], power: str) -> None:
    assert one(read(put("x.json", {**VM, **members}))).power == power


def test_templates_and_hosts_of_other_platforms(put: Any) -> None:
    template = {"Name": "gold", "ID": "T1", "IsTemplate": True, "VirtualNetworkAdapters": [{**NIC, "MACAddress": ""}]}
    esx = {"Name": "esx1", "VMHostGroup": "All Hosts", "VirtualizationPlatform": "VMWareESX"}
    inventory = read(put("x.json", [template, esx]))
    machine = one(inventory)
    assert (machine.is_template, machine.power, machine.host) == (True, "off", "")
    assert [(host.name, host.type) for host in inventory.hosts] == [("esx1", "vmware")]


def test_a_host_that_only_machines_name_is_vmms_too(put: Any) -> None:
    (host,) = read(put("x.json", VM)).hosts
    assert (host.name, host.managed_by) == ("hv1.corp.example", "scvmm")


def test_a_machine_that_hyperv_tells_of_too_is_one_with_what_its_checkpoints_hold(put: Any) -> None:
    hyperv = [HOST, {**SNAPSHOT, "VMId": "id-1"}, {**CAPTURED, "VMId": "id-1"}]
    inventory = read(put("scvmm.json", ALL), put("hyperv.json", hyperv))
    machine = one(inventory)
    assert machine.interfaces[0].mac == "00:1D:D8:B7:1C:07"
    (point,) = machine.checkpoints
    assert (point.name, point.interfaces[0].mac) == ("before", "00155D010299")
    (host,) = inventory.hosts
    assert host.dynamic_mac_range is not None
    assert (host.cluster, host.managed_by) == ("c1", "scvmm")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({**VM, "VirtualNetworkAdapters": ["web 1"]}, "x.json:8: web 1: its adapters were cut off by ConvertTo-Json"),
        ({**VM, "VirtualNetworkAdapters": [{**NIC, "MACAddressType": 1}]}, "MACAddressType '1' is neither Static nor"),
        ({**VM, "VirtualMachineState": 0}, "the state of web 1 is no word"),
        ([{**NIC, "Name": "other"}, VM], "the adapter 00:1D:D8:B7:1C:07 is of no machine of Get-SCVirtualMachine here"),
        ([VM, {**VM, "ID": "2", "VMId": "2"}, {**NIC, "Name": "web 1"}], "is of one of 2 machines; write VMId too"),
        ({"vms": [VM, {"Name": "odd", "Kind": "x"}]}, "vms[1]: is no object that is known here"),
        ({**ALL, "more": {"deep": [{"x": 1}]}}, "more.deep[0]: is no object that is known here"),
    ],
)
def test_what_is_not_read_is_named(put: Any, value: Any, said: str) -> None:
    told = faults(put("x.json", json.dumps(value, indent=1)))
    assert any(said in fault for fault in told), told


def test_an_unknown_object_is_told_once_with_all_that_it_holds(put: Any) -> None:
    (fault,) = faults(put("x.json", [VM, {"Odd": "x", "Within": {"y": 1, "Deeper": [{"z": 2}]}}]))
    assert fault.startswith("x.json:1: [1]: is no object that is known here")


def test_what_either_tells_of_a_machine_is_so(put: Any) -> None:
    """Hyper-V knows it as not clustered and lists a checkpoint without what it holds; VMM knows better."""
    hyperv = [{"Name": "web 1", "VMId": "ID-1", "State": 3, "ComputerName": "HV1"}, {**SNAPSHOT, "VMId": "ID-1"}]
    held = {**VM, "VMCheckpoints": [{"Name": "before", "VirtualNetworkAdapters": [NIC]}]}
    machine = one(read(put("hyperv.json", hyperv), put("scvmm.json", {**ALL, "vms": [held]})))
    assert (machine.clustered, machine.power) == (True, "off")
    (point,) = machine.checkpoints
    assert [nic.mac for nic in point.interfaces] == [NIC["MACAddress"]]


def test_many_unknown_objects_are_counted(put: Any) -> None:
    told = faults(put("x.json", [VM, *({"Odd": at} for at in range(8))]))
    assert len(told) == 6
    assert told[-1] == "x.json:1: and 3 more objects that are not known"
