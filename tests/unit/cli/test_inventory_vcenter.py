"""Reading what vCenter says, by PowerCLI and by the JSON of its API, and what of it is not taken in silence."""

import json
from typing import Any

import pytest

from tests.unit.cli.inventories import faults, one, read
from weft.model.inventory import Inventory

VM = {
    "Name": "web 1",
    "Id": "VirtualMachine-vm-201",
    "PersistentId": "UUID-1",
    "PowerState": "PoweredOn",
    "VMHost": "esx1",
}
NIC = {
    "Name": "Network adapter 1",
    "VM": "web 1",
    "VMId": "VirtualMachine-vm-201",
    "MacAddress": "00:50:56:8c:00:07",
    "AddressType": "assigned",
    "NetworkName": "LAN 20",
    "IPAddresses": "10.1.1.5 fe80::1",
}
CAPTURED = {**NIC, "Snapshot": "before", "MacAddress": "00:50:56:8c:00:99"}
HOST = {"Name": "esx1", "Version": "8.0.2", "Build": "22380479", "Cluster": "c1"}
INSTANCE = {"Name": "instance.id", "Value": 12, "Entity": "vc1.example"}
ALL = {"hosts": [HOST], "vms": [VM], "adapters": [NIC, CAPTURED], "instance": [INSTANCE]}


def check(inventory: Inventory) -> None:
    machine = one(inventory)
    assert (machine.name, machine.id, machine.host, machine.power) == ("web 1", "UUID-1", "esx1", "running")
    assert machine.clustered
    (nic,) = machine.interfaces
    assert (nic.mac, nic.mode, nic.network) == ("00:50:56:8c:00:07", "dynamic", "LAN 20")
    assert nic.ip_addresses == ("10.1.1.5", "fe80::1")
    (host,) = inventory.hosts
    assert (host.name, host.type, host.cluster, host.managed_by) == ("esx1", "vmware", "c1", "vcenter")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_powercli_in_one_file(put: Any, encoding: str) -> None:
    inventory = read(put("vc.json", ALL, encoding))
    check(inventory)
    (point,) = one(inventory).checkpoints
    assert (point.name, point.interfaces[0].mac) == ("before", "00:50:56:8c:00:99")
    (pool,) = inventory.mac_pools
    assert (pool.name, pool.first, pool.last) == (
        "vCenter vc1.example (id 12)",
        "00:50:56:8c:00:00",
        "00:50:56:8c:ff:ff",
    )


def test_powercli_in_several_files_with_whole_objects_and_numbers(put: Any) -> None:
    vm = {**VM, "PowerState": 1, "VMHost": {"Name": "esx1", "State": 0}, "Notes": ""}
    nic = {name.lower(): value for name, value in NIC.items() if name != "VMId"} | {"vm": {"Name": "web 1"}}
    check(read(put("a.json", [nic]), put("v.json", vm), put("h.json", HOST)))


def test_snapshots_that_hold_nothing_told_and_templates(put: Any) -> None:
    snapshot = {"Name": "empty", "VM": "web 1", "VMId": VM["Id"], "Quiesced": False, "PowerState": 0}
    template = {"Name": "gold", "Id": "VirtualMachine-vm-9", "IsTemplate": True, "VMHost": "esx1"}
    inventory = read(put("x.json", [VM, snapshot, template, {**NIC, "VM": "gold", "VMId": template["Id"]}]))
    web, gold = inventory.machines
    assert [point.name for point in web.checkpoints] == ["empty"]
    assert (gold.is_template, gold.power, len(gold.interfaces)) == (True, "off", 1)
    assert not web.clustered


def test_a_distributed_portgroup_has_its_name_in_snapshots_too(put: Any) -> None:
    group = {"Name": "LAN 20", "Key": "dvportgroup-46"}
    machine = one(read(put("x.json", [VM, NIC, {**CAPTURED, "NetworkName": "dvportgroup-46"}, group])))
    assert machine.interfaces[0].network == machine.checkpoints[0].interfaces[0].network == "LAN 20"


@pytest.mark.parametrize(
    ("word", "mac", "mode"),
    [
        ("Manual", "00:50:56:8c:00:07", "static"),
        ("generated", "00:0c:29:00:00:07", "dynamic"),
        ("", "00:50:56:bf:ff:ff", "dynamic"),
        ("", "00:50:56:3f:ff:ff", "static"),
        ("", "00:0c:29:00:00:07", "dynamic"),
        ("", "", "static"),
    ],
)
def test_who_gave_an_address(put: Any, word: str, mac: str, mode: str) -> None:
    nic = {**NIC, "AddressType": word, "MacAddress": mac}
    assert one(read(put("x.json", [VM, nic]))).interfaces[0].mode == mode


# -- the API, as govc writes it


def ref(kind: str, value: str) -> dict[str, str]:
    return {"type": kind, "value": value}


def nic_of(backing: dict[str, Any], key: int = 4000) -> dict[str, Any]:
    info = {"label": "Network adapter 1", "summary": "..."}
    mac = {"addressType": "assigned", "macAddress": "00:50:56:8c:00:07"}
    return {"key": key, "deviceInfo": info, "backing": backing, **mac}


def managed(backing: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "self": ref("VirtualMachine", "vm-201"),
        "name": "web 1",
        "config": {
            "instanceUuid": "UUID-1",
            "template": False,
            "hardware": {"numCPU": 1, "device": [{"key": 200, "busNumber": 0}, nic_of(backing)]},
        },
        "runtime": {"host": ref("HostSystem", "host-14"), "powerState": "poweredOn"},
        "guest": {
            "net": [
                {
                    "network": "LAN 20",
                    "ipAddress": ["10.1.1.5", "fe80::1"],
                    "macAddress": "00:50:56:8c:00:07",
                    "deviceConfigId": 4000,
                }
            ],
            "state": "running",
        },
        "snapshot": {
            "rootSnapshotList": [
                {"name": "before", "id": 1, "childSnapshotList": [{"name": "after", "childSnapshotList": None}]},
                {"name": "other"},
            ]
        },
        **more,
    }


SYSTEM = {
    "self": ref("HostSystem", "host-14"),
    "name": "esx1",
    "parent": ref("ClusterComputeResource", "c1"),
    "config": {"network": {"vnic": [{"device": "vmk0", "spec": {"mac": "00:50:56:6b:d0:4f"}}]}},
    "runtime": {"powerState": "poweredOn"},
}
STANDARD = {"deviceName": "LAN 20", "network": ref("Network", "network-7")}
DISTRIBUTED = {"port": {"portgroupKey": "dvportgroup-46", "switchUuid": "50 2e"}}


@pytest.mark.parametrize("backing", [STANDARD, DISTRIBUTED])
def test_govc(put: Any, backing: dict[str, Any]) -> None:
    inventory = read(put("vm.json", {"virtualMachines": [managed(backing)]}), put("h.json", {"hostSystems": [SYSTEM]}))
    check(inventory)
    assert [point.name for point in one(inventory).checkpoints] == ["before", "after", "other"]


def capitals(value: Any) -> Any:
    """As older releases of govc write it."""
    if isinstance(value, dict):
        return {name[0].upper() + name[1:]: capitals(each) for name, each in value.items()}
    return [capitals(each) for each in value] if isinstance(value, list) else value


def test_govc_of_old_and_networks_named_by_their_own_objects(put: Any) -> None:
    old = capitals({"virtualMachines": [managed(DISTRIBUTED)], "hostSystems": [SYSTEM]})
    check(read(put("old.json", old)))
    group = {"self": ref("DistributedVirtualPortgroup", "dvportgroup-46"), "name": "LAN 20"}
    silent = managed(DISTRIBUTED, guest={"net": None})
    assert one(read(put("x.json", [silent, group]))).interfaces[0].network == "LAN 20"
    assert one(read(put("y.json", [silent]))).interfaces[0].network == "dvportgroup-46"


def test_answers_of_the_property_collector(put: Any) -> None:
    whole = managed(STANDARD)
    content = {
        "obj": whole["self"],
        "propSet": [
            {"name": "name", "val": "web 1"},
            {"name": "config.hardware", "val": whole["config"]["hardware"]},
            {"name": "config.instanceUuid", "val": "UUID-1"},
            {"name": "runtime.powerState", "val": "poweredOn"},
            {"name": "runtime.host", "val": whole["runtime"]["host"]},
            {"name": "guest", "val": whole["guest"]},
        ],
    }
    check(read(put("x.json", [content, SYSTEM])))


def test_a_configuration_by_itself_is_a_machine_that_is_off(put: Any) -> None:
    config = {"_typeName": "VirtualMachineConfigInfo", "name": "web 1", **managed(STANDARD)["config"]}
    machine = one(read(f"esx9={put('x.json', config)}"))
    assert (machine.name, machine.id, machine.host, machine.power) == ("web 1", "UUID-1", "esx9", "off")
    assert machine.interfaces[0].network == "LAN 20"


def test_two_vcenters_number_their_machines_alike(put: Any) -> None:
    other = [{**VM, "Name": "db", "PersistentId": "UUID-2"}, {**NIC, "VM": "db", "MacAddress": "00:50:56:8d:00:01"}]
    inventory = read(put("vc1.json", [VM, NIC]), put("vc2.json", other))
    assert [(each.name, each.interfaces[0].mac[9:11]) for each in inventory.machines] == [("web 1", "8c"), ("db", "8d")]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([VM, {**NIC, "VM": "gone", "VMId": "x"}], "the adapter 00:50:56:8c:00:07 is of no machine of Get-VM or"),
        ([VM, {**VM, "Id": "2"}, {**NIC, "VMId": ""}], "is of one of 2 machines called web 1; write VMId too"),
        ({**VM, "PowerState": "Odd"}, "web 1: PowerState 'Odd' is not PoweredOn, PoweredOff or Suspended"),
        ([VM, {**NIC, "AddressType": "odd"}], "00:50:56:8c:00:07: addressType 'odd' is not manual, assigned or"),
        ([VM, {**INSTANCE, "Value": 64}], "instance.id '64' is not 0 to 63"),
        ({**managed(STANDARD), "config": None}, "web 1 has no config.hardware: its adapters are not told"),
        ([VM, {"self": ref("Datastore", "datastore-1"), "name": "d"}], "[1]: is no object that is known here"),
    ],
)
def test_what_is_not_read_is_named(put: Any, value: Any, said: str) -> None:
    told = faults(put("x.json", json.dumps(value, indent=1)))
    assert any(said in fault for fault in told), told
