"""Reading what ConvertTo-Json makes of Hyper-V's objects, in all the ways that it has."""

import json
from typing import Any

import pytest

from tests.unit.cli.inventories import ADAPTER, CAPTURED, HOST, SNAPSHOT, VM, faults, one, read
from weft.model.inventory import Inventory


def check_web(inventory: Inventory) -> None:
    machine = one(inventory)
    assert (machine.name, machine.id, machine.host, machine.power) == ("web 1", "ID-1", "HV1", "running")
    assert (machine.clustered, machine.is_replica) == (True, False)
    (nic,) = machine.interfaces
    assert (nic.mac, nic.mode, nic.switch, nic.vlan) == ("00155D010203", "dynamic", "SETswitch", 20)
    assert nic.ip_addresses == ("10.1.1.5", "fe80::1")
    (checkpoint,) = machine.checkpoints
    assert (checkpoint.name, checkpoint.interfaces[0].mac) == ("before", "00155D010299")
    (host,) = inventory.hosts
    assert host.type == "hyperv"
    assert host.dynamic_mac_range is not None
    assert host.dynamic_mac_range.last == "00155D0102FF"


def test_hyperv_in_one_file_or_several_grouped_or_not(put: Any) -> None:
    everything = [VM, ADAPTER, HOST, SNAPSHOT, CAPTURED]
    check_web(read(put("all.json", everything)))
    check_web(read(put("g.json", {"hosts": [HOST], "machines": VM, "adapters": [ADAPTER, CAPTURED], "s": [SNAPSHOT]})))
    check_web(read(*[put(f"{at}.json", each) for at, each in enumerate(reversed(everything))]))
    check_web(read(put("nested.json", [{**VM, "NetworkAdapters": [ADAPTER]}, ADAPTER, CAPTURED, HOST])))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_whatever_powershell_writes_it_in(put: Any, encoding: str) -> None:
    check_web(read(put("all.json", [VM, ADAPTER, HOST, SNAPSHOT, CAPTURED], encoding)))


def test_words_instead_of_numbers_wrapped_lists_and_other_spellings(put: Any) -> None:
    vm = {**VM, "State": "Saved", "ReplicationMode": "Replica", "IsClustered": False}
    adapter = {
        **{name.lower(): value for name, value in ADAPTER.items()},
        "vlansetting": "Microsoft.HyperV.PowerShell.VMNetworkAdapterVlanSetting",
        "accessvlanid": 7,
        "ipaddresses": {"value": ["10.1.1.6"], "Count": 1},
        "virtualsubnetid": 6001,
        "dynamicmacaddressenabled": "False",
    }
    machine = one(read(put("x.json", [vm, adapter])))
    assert (machine.power, machine.is_replica) == ("saved", True)
    (nic,) = machine.interfaces
    assert (nic.vlan, nic.ip_addresses, nic.network, nic.mode) == (7, ("10.1.1.6",), "VSID 6001", "static")
    lonely = {**ADAPTER, "IPAddresses": "10.1.1.7", "VlanSetting": None, "VirtualSubnetId": 0, "VMNetwork": "blue"}
    (nic,) = one(read(put("y.json", lonely))).interfaces
    assert (nic.vlan, nic.ip_addresses, nic.network) == (None, ("10.1.1.7",), "blue")


def test_adapters_without_machine_or_id_or_host(put: Any) -> None:
    """The host's own adapters are no machine's; an adapter whose machine nobody listed makes one that is off."""
    own = {**ADAPTER, "IsManagementOs": True}
    bare = {"VMName": "x", "Name": "n", "MacAddress": "00155D000001", "SwitchName": "S"}
    inventory = read(f"HV9={put('x.json', [own, bare, {**bare, 'MacAddress': '00155D000002'}])}")
    machine = one(inventory)
    assert (machine.name, machine.host, machine.power, len(machine.interfaces)) == ("x", "HV9", "off", 2)
    assert [host.name for host in inventory.hosts] == ["HV9"]
    replicas = read(put("r.json", [VM, {**VM, "ComputerName": "HV2"}, ADAPTER, {**ADAPTER, "ComputerName": "HV2"}]))
    assert [(each.host, len(each.interfaces)) for each in replicas.machines] == [("HV1", 1), ("HV2", 1)]
    assert [host.name for host in replicas.hosts] == ["HV1", "HV2"]


def test_hosts_with_more_than_their_range(put: Any) -> None:
    more = {**HOST, "Cluster": "c1", "IPAddresses": "10.1.2.3", "Switches": [{"Name": "SETswitch", "Segment": "prod"}]}
    (host,) = read(put("h.json", more)).hosts
    assert (host.cluster, host.addresses, host.switches[0].segment) == ("c1", ("10.1.2.3",), "prod")
    unset = {**HOST, "MacAddressMinimum": None, "MacAddressMaximum": None}
    (host,) = read(put("u.json", [unset])).hosts
    assert host.dynamic_mac_range is None


def test_adapters_that_convertto_json_cut_off_are_asked_for(put: Any) -> None:
    vm = {**VM, "NetworkAdapters": ["VMNetworkAdapter (Name = 'Network Adapter')"]}
    (fault,) = faults(put("x.json", json.dumps([vm], indent=1)))
    assert "-Depth 5" in fault
    assert fault.startswith("x.json:9:")
    assert one(read(put("y.json", [vm, ADAPTER]))).interfaces


@pytest.mark.parametrize("cut", ["@{ComputerName=HV1; MacAddressMinimum=00155D010200}", "System.Object[]"])
def test_objects_that_convertto_json_cut_off_are_told_so(put: Any, cut: str) -> None:
    for value in ({"hosts": [cut], "vms": cut}, [cut]):
        (fault,) = faults(put("x.json", json.dumps(value)))
        assert fault == "x.json:1: its objects were cut off by ConvertTo-Json; add -Depth 5"


def test_lists_too_deep_for_convertto_json_are_one_text(put: Any) -> None:
    inventory = read(put("x.json", [{**HOST, "IPAddresses": "10.1.2.3 fe80::9%3"}, VM, {**ADAPTER, "IPAddresses": ""}]))
    assert inventory.hosts[0].addresses == ("10.1.2.3", "fe80::9%3")
    assert one(inventory).interfaces[0].ip_addresses == ()
    assert one(read(put("y.json", {**ADAPTER, "IPAddresses": "10.1.1.5 fe80::1"}))).interfaces[0].ip_addresses == (
        "10.1.1.5",
        "fe80::1",
    )


def test_guids_of_windows_powershell(put: Any) -> None:
    """It writes some as an object of their own."""
    guid = {"value": "ID-1", "Guid": "ID-1"}
    check_web(read(put("x.json", [{**each, "VMId": guid} for each in (VM, ADAPTER, SNAPSHOT, CAPTURED)] + [HOST])))


@pytest.mark.parametrize(
    ("state", "power"),
    [(2, "running"), ("Paused", "running"), (9, "running"), ("RunningCritical", "running"), (32783, "running")]
    + [(3, "off"), ("Off", "off"), (32784, "off"), (6, "saved"), ("FastSavedCritical", "saved"), (32773, "saved")],
)
def test_states_as_numbers_and_words(put: Any, state: Any, power: str) -> None:
    assert one(read(put("x.json", {**VM, "State": state}))).power == power


def test_adapters_of_no_machine_are_the_hosts_own(put: Any) -> None:
    physical = {"Name": "NIC 1", "MacAddress": "A0369F000001", "SwitchName": "LAN", "ComputerName": "HV1"}
    inventory = read(put("x.json", {**HOST, "ExternalNetworkAdapters": [physical]}))
    assert (inventory.machines, len(inventory.hosts)) == ((), 1)
