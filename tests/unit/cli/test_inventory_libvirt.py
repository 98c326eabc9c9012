"""Reading what virsh writes: domains, snapshots and networks."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.inventories import faults, one, read

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


def test_a_network_that_one_host_tells_of_is_the_same_on_others(put: Any) -> None:
    """Else two machines of one network would be in two, as soon as one host is asked more than the other."""
    in_lan = domain("a").replace("bridge='br0'", "network='lan'")
    told = "<network><name>lan</name><forward mode='bridge'/><bridge name='br7'/></network>"
    inventory = read(f"n1={put('a.xml', in_lan)}", f"n2={put('b.xml', in_lan + told)}")
    assert [host.switches[0].segment for host in inventory.hosts] == ["br7", "br7"]


def test_user_mode_is_a_network_of_the_machine_alone(put: Any) -> None:
    alone = domain("a").replace("type='bridge'", "type='user'").replace("<source bridge='br0'/>", "")
    (nic,) = one(read(put("x.xml", alone))).interfaces
    assert (nic.network, nic.switch) == ("user mode of a", "")


def test_text_in_many_pieces_before_and_behind_children(put: Any) -> None:
    """Of an element the text before its first child counts; a long description takes no longer than its length."""
    title = "<title>" + "a &amp; b\n" * 300_000 + "</title>"
    long = domain("a").replace("<name>a</name>", f"{title}<name>a<!-- x -->&amp;b</name>")
    assert one(read(put("x.xml", long))).name == "a&b"
    assert one(read(put("y.xml", domain("a").replace("<name>a</name>", "<name>a<i>b</i>c</name>")))).name == "a"
