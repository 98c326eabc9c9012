"""What the scripts about machines are given, and what is read from their answers."""

import pytest

from weft.core.hyperv import machines_define as define
from weft.core.hyperv import machines_facts as facts
from weft.core.hyperv import machines_notes as notes
from weft.core.hyperv.machines_ports import AdaptersDiffer, paired, ports_argument
from weft.model.hypervisor import AdapterState, Disk, Hardware
from weft.model.records import Machine, PortBinding
from weft.model.values import InstanceId, Mac, Rdid, Vsid, pack_ip

OWN = "5f0c2b1e-0000-4000-8000-000000000001"
OTHER = "5f0c2b1e-0000-4000-8000-000000000002"


def adapter(number, mac=0, instance=""):
    return AdapterState(mac, InstanceId(instance), id=f"a{number}")


def port(instance, mac):
    own = pack_ip("192.168.1.10")
    return PortBinding(InstanceId(instance), f"{instance}-eth0", Rdid(1), Vsid(6001), Mac(mac), (), own)


A, B = (InstanceId("ia"), Mac(0x10)), (InstanceId("ib"), Mac(0x20))


@pytest.mark.parametrize(
    ("adapters", "expected"),
    [
        ((adapter(1, 0x20), adapter(2, 0x10)), ["a2", "a1"]),
        ((adapter(1, 0x99, "IB"), adapter(2, 0)), ["a2", "a1"]),
        ((adapter(1, 0x10, "ib"), adapter(2, 0x20, "ia")), ["a2", "a1"]),
        ((adapter(1, 0), adapter(2, 0)), ["a1", "a2"]),
        ((adapter(1, 0x20, "ia"), adapter(2, 0x10, "ia")), ["a2", "a1"]),
        ((adapter(1, 0x20, "ia"), adapter(2, 0x20, "ia")), ["a1", "a2"]),
    ],
    ids=["by mac", "by interface", "interface goes first", "in order", "one id on both: by mac", "all alike: in order"],
)
def test_adapters_and_interfaces_are_told_together(adapters, expected):
    assert paired(adapters, (A, B)) == [(expected[0], 0), (expected[1], 1)]


def test_more_adapters_than_were_meant_is_an_error():
    with pytest.raises(AdaptersDiffer, match="it has 2 network adapters where 1 was meant"):
        paired((adapter(1), adapter(2)), (A,))
    with pytest.raises(AdaptersDiffer, match="it has 1 network adapter where 2 were meant"):
        paired((adapter(1),), (A, B))


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("Running", "Running"),
        ("RunningCritical", "Running"),
        ("Paused", "Running"),
        ("Stopping", "Running"),
        ("Saving", "Running"),
        ("Off", "Off"),
        ("OffCritical", "Off"),
        ("Starting", "Off"),
        ("Saved", "Saved"),
        ("FastSaved", "Saved"),
        ("SavedCritical", "Saved"),
    ],
)
def test_power(state, power):
    assert facts.power_of(state) == power


NOTES = f"of the shop\r\nweft: web1 {OWN.upper()}\r\nweft disk: D:\\a b\\web1.vhdx\r\nweft disk: D:\\x.vhdx"


def test_a_mark_counts_where_it_names_the_machines_own_id():
    assert (notes.marked(NOTES, OWN), notes.marked(NOTES, OTHER)) == ("web1", "")
    assert notes.defining(NOTES, OWN) == ""
    half = NOTES.replace("weft: ", "weft defining: ")
    assert (notes.marked(half, OWN), notes.defining(half, OWN)) == ("", "web1")


def test_the_files_that_were_made_stand_in_the_notes():
    assert notes.disks_of(NOTES) == ("D:\\a b\\web1.vhdx", "D:\\x.vhdx")
    assert notes.disks_of("weft: web1") == ()


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1e", "\u202e"])
def test_what_only_looks_like_the_end_of_a_line_is_part_of_a_path(mark):
    path = f"D:\\{mark}weft disk: E:\\theirs.vhdx"
    told = f"weft: web1 {OWN}\r\nweft disk: {path}{mark}weft: other {OWN}"
    assert notes.disks_of(told) == (f"{path}{mark}weft: other {OWN}",)
    assert notes.marked(told, OWN) == "web1"
    assert notes.marked(f"of{mark}weft: web1 {OWN}", OWN) == ""


MACHINE = {
    "id": OWN.upper(),
    "name": "Web Nr. 1",
    "state": "Running",
    "notes": NOTES,
    "status": "MigratingVirtualMachine",
    "clustered": True,
    "path": "D:\\vms\\web1",
}
ADAPTER = {
    "owner": OWN.upper(),
    "id": "Microsoft:A\\B",
    "name": "eth0",
    "mac": "001DD8B71C01",
    "dynamic": False,
    "switch": "sw",
    "profile": "{9C7C1E6E-0000-4000-8000-000000000009}",
}
KEPT = {
    "owner": OTHER.upper(),
    "id": "x",
    "name": "eth0",
    "mac": "",
    "dynamic": True,
    "switch": None,
    "profile": "{00000000-0000-0000-0000-000000000000}",
}
CHECKPOINT = {"machine": OWN.upper(), "id": OTHER.upper(), "name": "before", "state": "Saved"}
PART = {"machines": [MACHINE], "adapters": [ADAPTER, KEPT], "checkpoints": [CHECKPOINT]}


def test_a_machine_as_it_is_told():
    (state,) = facts.machine_states({"parts": [PART]})
    assert (state.machine, state.power, state.id, state.name) == ("web1", "Running", OWN, "Web Nr. 1")
    assert (state.migrating, state.clustered, state.awaited) == (True, True, False)
    (one,) = state.adapters
    assert one == AdapterState(
        0x001DD8B71C01, "9c7c1e6e-0000-4000-8000-000000000009", False, "Microsoft:A\\B", "eth0", "sw"
    )
    (checkpoint,) = state.checkpoints
    assert (checkpoint.id, checkpoint.name, checkpoint.running) == (OTHER, "before", True)
    assert checkpoint.adapters[0] == AdapterState(0, "", True, "x", "eth0", "")


def test_the_host_as_it_is_told():
    told = {"parts": [PART], "switches": ["sw"], "first": "00155D010A00", "last": "00155D010AFF", "boot": "b1"}
    told |= {"host": "HV1", "claims": []}
    found = facts.found(told)
    assert found.state.dynamic_range == (0x00155D010A00, 0x00155D010AFF)
    assert (found.state.switches, found.state.boot) == (("sw",), "b1")
    assert found.notes == {OWN: NOTES}
    assert facts.found({**told, "parts": [], "first": "", "last": ""}).state.dynamic_range is None


def test_a_restored_machine_is_known_by_its_id_whatever_the_language():
    values = ["Web Nr. 1", OWN.upper(), "%%1234"]
    told = {"restored": [{"record": 8, "values": []}, {"record": 7, "values": values}]}
    assert facts.restored(told) == [facts.Restored(7, OWN), facts.Restored(8, "")]


def test_what_a_machine_is_defined_from():
    hardware = Hardware(2, 4096, (Disk("D:\\web1.vhdx", 8), Disk("D:\\data.vhdx", source="D:\\t.vhdx")), "sw")
    told = define.define_argument(Machine("web1", "Off", (), ""), hardware, (port("ia", 0x001DD8B71C01),))
    assert (told["memory"], told["cpu"], told["switch"]) == (4 << 30, 2, "sw")
    assert told["disks"] == [
        {"path": "D:\\web1.vhdx", "bytes": 8 << 30, "source": ""},
        {"path": "D:\\data.vhdx", "bytes": 0, "source": "D:\\t.vhdx"},
    ]
    assert told["adapters"] == [{"mac": "001DD8B71C01", "profile": "{ia}", "name": "ia-eth0"}]
    assert ports_argument(()) == []
    copied = define.copy_argument(Machine("web2", "Off", (), ""), OWN, (port("ia", 1),))
    assert (copied["source"], copied["name"], copied["adapters"][0]["name"]) == (OWN, "web2", "ia-eth0")
