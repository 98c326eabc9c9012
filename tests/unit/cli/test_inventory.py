"""Reading inventories: four formats, several encodings, several files, and faults with their file and line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from weft.cli.faults import BadFile
from weft.cli.inventory import read_inventory
from weft.model.inventory import Inventory, Machine


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Write a file; answers its path as text."""

    def write(name: str, content: Any, encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def read(*words: str) -> Inventory:
    return read_inventory(list(words)).inventory


def faults(*words: str) -> list[str]:
    with pytest.raises(BadFile) as caught:
        read_inventory(list(words))
    return [f"{Path(each.file).name}:{each.line}: {each.message}" for each in caught.value.faults]


def one(inventory: Inventory) -> Machine:
    (machine,) = inventory.machines
    return machine


# libvirt

DOMAIN = """<domain type='kvm'{running}>
  <name>{name}</name>
  <uuid>8f3c0000-0000-0000-0000-0000000000{uuid:02d}</uuid>
  <devices>
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br0'/>
      <vlan><tag id='20'/></vlan>
      <target dev='vnet0'/>
    </interface>
  </devices>
</domain>
"""


def domain(name: str, mac: str = "52:54:00:00:00:01", uuid: int = 1, running: str = " id='3'") -> str:
    return DOMAIN.format(name=name, mac=mac, uuid=uuid, running=running)


def test_a_domain_of_libvirt(put: Any) -> None:
    inventory = read(put("kvm1.xml", "<?xml version='1.0'?>\n<!-- made by libvirt -->\n" + domain("web")))
    machine = one(inventory)
    assert (machine.name, machine.host, machine.power) == ("web", "kvm1", "running")
    assert machine.id.startswith("8f3c")
    (nic,) = machine.interfaces
    assert (nic.name, nic.mac, nic.mode, nic.switch, nic.vlan) == ("vnet0", "52:54:00:00:00:01", "static", "br0", 20)
    assert (inventory.hosts[0].name, inventory.hosts[0].type) == ("kvm1", "libvirt")


def test_dumpxml_of_many_domains_in_one_file(put: Any) -> None:
    text = "<?xml version='1.0'?>\n" + domain("a") + "\n<?xml version='1.0'?>\n" + domain("b", uuid=2, running="")
    assert [(each.name, each.power) for each in read(put("x.xml", text)).machines] == [("a", "running"), ("b", "off")]


def test_where_a_domain_is(put: Any) -> None:
    """What the caller says, a folder that was asked for, the folder of a file with the machine's name, the file."""
    named = put("host7/web.xml", domain("web"))
    folder = str(Path(named).parent)
    assert one(read(f"kvm9={named}")).host == "kvm9"
    assert one(read(f"kvm9={folder}")).host == "kvm9"
    assert one(read(folder)).host == "host7"
    assert one(read(named)).host == "host7"
    assert one(read(put("host8.xml", domain("web")))).host == "host8"


def test_snapshots_find_their_domain_in_another_file(put: Any) -> None:
    snapshot = f"<domainsnapshot><name>before</name>{domain('web', '52:54:00:00:00:02')}</domainsnapshot>"
    files = [put("kvm1/snap.xml", snapshot), put("kvm1/web.xml", domain("web"))]
    machine = one(read(str(Path(files[0]).parent)))
    (checkpoint,) = machine.checkpoints
    assert (checkpoint.name, checkpoint.interfaces[0].mac) == ("before", "52:54:00:00:00:02")
    assert faults(files[0]) == ["snap.xml:1: the machine of snapshot 'before' is in no file; add its virsh dumpxml"]
    assert "in no file" in faults(put("s.xml", "<domainsnapshot><name>x</name></domainsnapshot>"))[0]


def test_networks_of_one_host_alone_are_told_apart(put: Any) -> None:
    def networked(name: str) -> str:
        return domain("web").replace("bridge='br0'", f"network='{name}' bridge='virbr0'")

    def segments(host: str, text: str) -> list[str]:
        return [switch.segment for switch in read(f"{host}={put(f'{host}.xml', text)}").hosts[0].switches]

    assert segments("kvm1", networked("default")) == ["default of kvm1"]
    nat = "<network><name>lab</name><forward mode='nat'/><bridge name='virbr3'/></network>"
    assert segments("kvm2", networked("lab") + nat) == ["lab of kvm2"]
    bridged = "<network><name>lab</name><forward mode='bridge'/><bridge name='br0'/></network>"
    assert segments("kvm3", networked("lab") + bridged) == ["br0"]
    open_vswitch = "<network><name>lab</name><forward mode='passthrough'/></network>"
    assert segments("kvm4", networked("lab") + open_vswitch) == ["lab"]


def test_port_groups_addresses_and_odd_tags_of_libvirt(put: Any) -> None:
    text = domain("web").replace("bridge='br0'", "network='ovs' portgroup='web'").replace("id='20'", "id='x'")
    text = text.replace("<target dev='vnet0'/>", "<ip address='10.1.1.5'/><ip/><alias name='net0'/>")
    (nic,) = one(read(put("kvm1.xml", text))).interfaces
    assert (nic.switch, nic.vlan, nic.name, nic.ip_addresses) == ("ovs/web", None, "net0", ("10.1.1.5",))
    bare = "<domstatus><domain id='1'><name>a</name><devices><interface/></devices></domain></domstatus>"
    (nic,) = one(read(put("k.xml", bare))).interfaces
    assert (nic.mac, nic.switch) == ("", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<domain>\n<name>a</domain>", "x.xml:2: not XML: mismatched tag"),
        ("<pool/>", "x.xml:1: holds no domain, domainsnapshot or network (pool)"),
        ("<!-- nothing -->", "(nothing)"),
        ("\n<!DOCTYPE d [<!ENTITY a 'b'>]>\n<domain>&a;</domain>", "x.xml:2: a document type is not read"),
        ("<domain>&a;</domain>", "x.xml:1: not XML: undefined entity"),
        ("<domain>", "x.xml:1: not XML"),
    ],
)
def test_xml_that_is_not_read(put: Any, text: str, said: str) -> None:
    (fault,) = faults(put("x.xml", text))
    assert said in fault


def test_entities_never_expand(put: Any) -> None:
    laughs = "".join(f"<!ENTITY l{at} '{f'&l{at - 1};' * 10}'>" for at in range(1, 12))
    (fault,) = faults(put("x.xml", f"<!DOCTYPE d [<!ENTITY l0 'ha'>{laughs}]><domain><name>&l11;</name></domain>"))
    assert "entities can grow without end" in fault


def test_a_bad_address_in_xml_has_the_line_of_its_domain(put: Any) -> None:
    (fault,) = faults(put("x.xml", domain("a") + domain("b", "52:54:00", 2)))
    assert fault.startswith("x.xml:13: machine 'b', interfaces[0].mac: '52:54:00': it is not a MAC address.")


# Hyper-V

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


# Our own JSON


def test_our_own_format(put: Any) -> None:
    own = {"hosts": [{"name": "n1"}], "machines": [{"name": "a", "host": "n1"}], "macPools": []}
    assert one(read(put("x.json", own))).name == "a"
    assert read(put("y.json", {"machines": []})).machines == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"machines": [\n{"name": "a",\n "macc": 1}]}', "x.json:3: there is no field `macc`"),
        ('{"machines": [\n{"name": "a", "power":\n "on"}]}', "x.json:3: Invalid enum value 'on'"),
        ('{"machines": [{"name": 5}]}', "Expected `str`, got `int` - at `$.machines[0].name`"),
        ('{"machines": [\n{"name": "a",}]}', "x.json:2: not JSON"),
        ('{"machines": [', "x.json:1: not JSON"),
        ('{"a": "\u00e9",\n x}', "x.json:2: not JSON"),
        ("[" * 5000, "x.json:1: is nested more deeply"),
        ('{"cats": [1]}', "x.json:1: holds no object of Get-VM"),
        ("[]", "holds no object"),
        ("", "x.json:1: is empty"),
        ("\ufeff \n", "is empty"),
    ],
)
def test_json_that_is_not_read(put: Any, text: str, said: str) -> None:
    (fault,) = faults(put("x.json", text))
    assert said in fault


def test_a_wrong_value_has_the_line_where_it_stands(put: Any) -> None:
    text = '{"hosts": [],\n "machines": [{"name": "a",\n  "interfaces": [{"mac": "zz"}]}]}'
    assert faults(put("x.json", text)) == [
        "x.json:3: machine 'a', interfaces[0].mac: 'zz': it is not a MAC address. "
        "Write six octets such as 00-1D-D8-B7-1C-00."
    ]
    pool = '{"macPools": [\n{"name": "p", "first": "02-00-00-00-00-02",\n "last": "02-00-00-00-00-01"}]}'
    assert faults(put("p.json", pool))[0].startswith("p.json:2: macPool 'p', last: 02-00-00-00-00-01 is below")


# CSV

HEAD = "machine,host,power,mac,mode,switch,vlan,ip,checkpoint,id,clustered,interface\n"


def test_csv_has_a_row_for_each_interface(put: Any) -> None:
    rows = "web,n1,Running,02-00-00-00-00-01,Dynamic,LAN,20,10.1.1.5 10.1.1.6,,7,yes,eth0\n"
    rows += "web,n1,Running,02-00-00-00-00-02,,LAN,,,,7,yes,eth1\n\n"
    rows += "web,n1,Running,02-00-00-00-00-03,,LAN,,,before,7,yes,eth0\n"
    machine = one(read(put("x.csv", HEAD + rows)))
    assert (machine.id, machine.power, machine.clustered) == ("7", "running", True)
    assert [(nic.mac, nic.mode, nic.vlan) for nic in machine.interfaces] == [
        ("02-00-00-00-00-01", "dynamic", 20),
        ("02-00-00-00-00-02", "static", None),
    ]
    assert machine.interfaces[0].ip_addresses == ("10.1.1.5", "10.1.1.6")
    assert machine.checkpoints[0].interfaces[0].mac == "02-00-00-00-00-03"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_heads_in_any_case_and_export_csv(put: Any, delimiter: str) -> None:
    text = delimiter.join(["Host", "MACHINE", "Mac", "Remark"]) + "\n" + delimiter.join(["n1", "a", "", "-"]) + "\n"
    inventory = read(
        put("x.csv", '#TYPE System.Object\n"' + text.replace(delimiter, f'"{delimiter}"', 3).replace("\n", '"\n', 1))
    )
    assert (one(inventory).name, inventory.hosts[0].name) == ("a", "n1")


def test_rows_of_hosts(put: Any) -> None:
    head = "machine,mac,host,host type,host_address,cluster,rangefirst,rangelast\n"
    rows = ",,n1,,,,,\n,,n1,hyperv,10.1.1.5,c1,00-15-5D-01-05-00,00-15-5D-01-05-FF\na,,N1,,,,,\n"
    (host,) = read(put("x.csv", head + rows)).hosts
    assert (host.name, host.type, host.cluster, host.addresses) == ("n1", "hyperv", "c1", ("10.1.1.5",))
    assert host.dynamic_mac_range is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machine,host\n", "x.csv:1: no column mac"),
        ("# a remark\n", "no column machine and mac"),
        ("machine,mac,hostt\n", "x.csv:1: unknown column 'hostt'; did you mean host?"),
        (HEAD + ",,,,,,,,,,,x\n", "x.csv:2: names neither a machine nor a host"),
        (HEAD + "a,,off,,,,5000,,,,,\n", "x.csv:2: vlan '5000'"),
        (HEAD + "a,,off,,fixed,,,,,,,\n", "x.csv:2: mode 'fixed'"),
        (HEAD + "a,,maybe,,,,,,,,,\n", "x.csv:2: power 'maybe'"),
        (HEAD + "\na,,off,nonsense,,,,,,,,\n", "x.csv:3: machine 'a', interfaces[0].mac: 'nonsense'"),
        (HEAD + f"{'x' * (1 << 20 | 1)},\n", "not CSV: field larger"),
    ],
)
def test_csv_that_is_not_read(put: Any, text: str, said: str) -> None:
    (fault,) = faults(put("x.csv", text))
    assert said in fault


# Files


def test_formats_join_and_a_machine_counts_once(put: Any) -> None:
    own = {
        "hosts": [{"name": "hv1", "cluster": "c", "switches": [{"name": "SETswitch", "segment": "prod"}]}],
        "machines": [{"name": "web 1", "id": "id-1", "host": "hv1"}, {"name": "noid"}, {"name": "noid"}],
    }
    inventory = read(
        put("a.json", [VM, ADAPTER, HOST, SNAPSHOT, CAPTURED]), put("b.json", own), put("c.csv", HEAD + "c" + "," * 11)
    )
    assert sorted(machine.name for machine in inventory.machines) == ["c", "noid", "noid", "web 1"]
    (host,) = inventory.hosts
    assert host.dynamic_mac_range is not None
    assert (host.cluster, host.type, host.switches[0].segment) == ("c", "hyperv", "prod")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        content = io.BytesIO('{"machines": [{"name": "a"}]}'.encode(encoding))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        assert one(read("-")).name == "a"


def test_files_that_cannot_be_read(put: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a\nb\xff\xfec")
    (tmp_path / "empty").mkdir()
    missing = str(tmp_path / "missing.json")
    found = faults(missing, str(tmp_path / "bad"), str(tmp_path / "empty"))
    assert found[0] == "bad:2: is neither UTF-8 nor UTF-16 text; save it as UTF-8"
    assert found[1].startswith("empty:1: holds no file that ends in .xml")
    assert found[2].startswith("missing.json:1: cannot be read (No such file or directory)")
