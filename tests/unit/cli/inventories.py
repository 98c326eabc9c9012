"""Files read as inventories, for the tests of each format."""

from pathlib import Path

import pytest

from weft.cli.faults import BadFile
from weft.cli.inventory import read_inventory
from weft.model.inventory import Inventory, Machine

VM = {"Name": "web 1", "VMId": "ID-1", "State": 2, "ComputerName": "HV1", "IsClustered": True, "ReplicationMode": 0}
ADAPTER = {
    "Name": "Network Adapter",
    "Id": "Microsoft:ID-1\\A",
    "VMName": "web 1",
    "VMId": "ID-1",
    "ComputerName": "HV1",
    "MacAddress": "00155D010203",
    "DynamicMacAddressEnabled": True,
    "SwitchName": "SETswitch",
    "VlanSetting": {"OperationMode": 1, "AccessVlanId": 20},
    "IPAddresses": ["10.1.1.5", "fe80::1"],
    "IsManagementOs": False,
}
HOST = {"ComputerName": "HV1", "MacAddressMinimum": "00155D010200", "MacAddressMaximum": "00155D0102FF"}
SNAPSHOT = {"Name": "before", "Id": "S1", "VMId": "ID-1", "VMName": "web 1", "ComputerName": "HV1", "SnapshotType": 0}
CAPTURED = {**ADAPTER, "VMSnapshotName": "before", "MacAddress": "00155D010299"}


def read(*words: str) -> Inventory:
    return read_inventory(list(words)).inventory


def faults(*words: str) -> list[str]:
    with pytest.raises(BadFile) as caught:
        read_inventory(list(words))
    return [f"{Path(each.file).name}:{each.line}: {each.message}" for each in caught.value.faults]


def one(inventory: Inventory) -> Machine:
    (machine,) = inventory.machines
    return machine
