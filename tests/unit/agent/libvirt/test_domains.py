"""What becomes of a machine as XML, what is read from XML, and what a change leaves as it is. Pure."""

from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agent.policies import GUESTS
from weft.agent.libvirt.domain_patching import (
    Copy,
    Unfit,
    copied,
    isolated,
    plugged_in,
    read_mtus,
    snapshot_with_macs,
    unmarked,
    unplugged,
    with_mtu,
    with_ports,
)
from weft.agent.libvirt.domain_reading import domain_types, machine_types, read_domain, read_snapshot
from weft.agent.libvirt.domain_xml import Platform, disk_format, domain_xml
from weft.agent.libvirt.mark import Mark, isolated_element
from weft.model.hypervisor import Disk, Hardware
from weft.model.values import Mac

UUID, OTHER = "0d5f0000-0000-4000-8000-000000000001", "0d5f0000-0000-4000-8000-000000000002"
PORTS = (GUESTS["blue1"].binding(), GUESTS["blue2"].binding())
RENEWED = tuple(msgspec.structs.replace(port, mac=Mac(port.mac + 0x80)) for port in PORTS)
MARK = Mark("web1", UUID, ("/v/web1.qcow2",))
HARDWARE = Hardware(2, 512, (Disk("/v/web1.qcow2", 8), Disk("/v/data.raw")))
XML = domain_xml(MARK, HARDWARE, PORTS, Platform("kvm"))


def identities(xml):
    return [(one.mac, one.instance_id) for one in read_domain(xml).adapters]


def wanted(ports):
    return [(port.mac, port.instance_id.lower()) for port in ports]


def test_what_is_written_is_read_again():
    found = read_domain(XML)
    assert (found.uuid, found.name, found.machine, found.mark) == (UUID, "web1", "web1", MARK)
    assert identities(XML) == wanted(PORTS)
    assert {one.switch for one in found.adapters} == {"br-int"} and not any(one.dynamic for one in found.adapters)
    assert [(one.path, one.target, one.format) for one in found.disks] == [
        ("/v/web1.qcow2", "vda", "qcow2"),
        ("/v/data.raw", "vdb", "raw"),
    ]
    assert found.own_disks == ("/v/web1.qcow2",) and found.run == ""


def test_a_domain_is_of_the_kind_that_the_host_has():
    document = ET.fromstring(XML)
    assert (document.get("type"), document.find("os/type").get("machine")) == ("kvm", "q35")
    assert document.findtext("memory") == "512" and document.findtext("vcpu") == "2"
    booted = Hardware(kernel="/k/vmlinuz", initrd="/k/initrd", kernel_arguments="a=<b> & c", switch="br7")
    direct = ET.fromstring(domain_xml(MARK, booted, PORTS, Platform(machine="pc")))
    assert [direct.findtext(f"os/{name}") for name in ("kernel", "initrd", "cmdline")] == [
        "/k/vmlinuz",
        "/k/initrd",
        "a=<b> & c",
    ]
    assert {one.get("bridge") for one in direct.findall("devices/interface/source")} == {"br7"}
    assert direct.find("os/boot") is None and direct.find("os/type").get("machine") == "pc"


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc"), exclude_characters="￾￿")))
def test_no_value_leaves_its_place(text):
    hardware = Hardware(kernel=f"/{text}", disks=(Disk(f"/{text}.qcow2"),))
    document = ET.fromstring(domain_xml(Mark(f"m{text}", UUID), hardware, (), Platform()))
    assert document.findtext("os/kernel") == f"/{text}"
    assert document.find("devices/disk/source").get("file") == f"/{text}.qcow2"
    assert read_domain(ET.tostring(document, encoding="unicode")).machine == f"m{text}"


def test_a_copied_mark_is_read_and_does_not_count():
    found = read_domain(XML.replace(f"<uuid>{UUID}", f"<uuid>{OTHER}"))
    assert (found.machine, found.own_disks, found.mark) == ("", (), MARK)
    assert read_domain("<domain><uuid>x</uuid></domain>").machine == ""


@pytest.mark.parametrize("file", ["a.qcow2", "a.QCOW2", "a.raw", "a.img", "a", "/x.qcow2/a", "a.vhd"])
def test_the_format_goes_by_the_end_of_the_name(file):
    assert disk_format(file) == {"a.qcow2": "qcow2", "a.QCOW2": "qcow2", "a.vhd": "vpc"}.get(file, "raw")


def test_new_ports_change_addresses_and_ids_and_nothing_else():
    after = with_ports(XML, RENEWED)
    assert identities(after) == wanted(RENEWED)
    assert with_ports(after, PORTS) == with_ports(XML, PORTS)
    assert identities(with_ports(XML, RENEWED[::-1])) == wanted(RENEWED), "each adapter is found by its interface id"
    bare = XML.replace(f'interfaceid="{PORTS[0].instance_id}"', "")
    assert identities(with_ports(bare, RENEWED)) == wanted(RENEWED)
    for ports in (PORTS[:1], (*PORTS, PORTS[0])):
        with pytest.raises(Unfit, match="2 adapters"):
            with_ports(XML, ports)


@pytest.mark.parametrize(
    "before",
    [
        '<interface type="network"><source network="default"/><mac address="52:54:00:00:00:01"/></interface>',
        '<interface type="bridge"><source bridge="br0"/><target dev="tap7"/></interface>',
        '<interface type="direct"><source dev="eth0" mode="vepa"/><virtualport type="802.1Qbg"/></interface>',
        '<interface type="bridge"><source bridge="ovs0"/><virtualport type="openvswitch"/></interface>',
    ],
)
def test_an_adapter_that_no_port_could_be_bound_for_comes_to_the_integration_bridge(before):
    document = f"<domain><devices>{before}</devices></domain>"
    after = ET.fromstring(with_ports(document, PORTS[:1], "br-int"))
    [interface] = after.findall("devices/interface")
    [source], [port] = interface.findall("source"), interface.findall("virtualport")
    bridge = "ovs0" if "ovs0" in before else "br-int"
    assert (interface.get("type"), source.attrib, port.get("type")) == ("bridge", {"bridge": bridge}, "openvswitch")
    assert identities(ET.tostring(after, encoding="unicode")) == wanted(PORTS[:1])
    assert interface.find("target") is None


def test_the_guest_is_told_its_mtu():
    assert read_mtus(XML) == {0}
    after = with_mtu(XML, 1458)
    assert read_mtus(after) == {1458} and read_mtus(with_mtu(after, 1450)) == {1450}
    assert read_mtus(XML.replace('type="virtio" />', 'type="e1000" />')) in (set(), {0})


def test_a_copy_has_an_identity_of_its_own():
    ports = tuple(msgspec.structs.replace(port, instance_id=f"{port.instance_id[:-1]}e") for port in RENEWED)
    mark = Mark("web2", OTHER, ("/v/web2.qcow2",))
    after = copied(XML, Copy(mark, ports, {"/v/web1.qcow2": "/v/web2.qcow2"}))
    found = read_domain(after)
    assert (found.uuid, found.name, found.mark, found.machine) == (OTHER, "web2", mark, "web2")
    assert identities(after) == wanted(ports)
    assert [one.path for one in found.disks] == ["/v/web2.qcow2", "/v/data.raw"]
    for mine in (UUID, "web1", *(port.instance_id for port in PORTS)):
        assert mine not in after


def test_an_export_bears_no_mark():
    assert read_domain(unmarked(XML)).mark is None and identities(unmarked(XML)) == identities(XML)


def test_links_go_down_one_by_one():
    assert (len(plugged_in(XML)), unplugged(XML)) == (2, [])
    (mac, down), _ = plugged_in(XML)
    assert ET.fromstring(down).find("link").get("state") == "down"
    half = XML.replace("<model type='virtio'/>", "<model type='virtio'/><link state='down'/>", 1)
    half = half if half != XML else XML.replace("</interface>", "<link state='down'/></interface>", 1)
    ((pulled, up),) = unplugged(half)
    assert (pulled, ET.fromstring(up).find("link").get("state")) == (mac, "up")
    assert [bool(one.switch) for one in read_domain(half).adapters] == [False, True]


def test_what_we_have_unplugged_stands_in_the_metadata_and_is_not_copied():
    note = isolated_element(["02:00:00:00:00:02", "02:00:00:00:00:01"]).replace(
        "<isolated", '<isolated xmlns="urn:weft:isolated"'
    )
    noted = XML.replace("<metadata>", f"<metadata>{note}", 1)
    assert isolated(noted) == {"02:00:00:00:00:01", "02:00:00:00:00:02"} and read_domain(noted).isolated
    assert not isolated(unmarked(noted)) and not read_domain(XML).isolated


def snapshot(state="shutoff", domain=XML):
    parent = "<parent><name>first</name></parent>"
    inactive = domain.replace("<domain ", "<inactiveDomain ").replace("</domain>", "</inactiveDomain>")
    name = "<name>before</name>"
    return f"<domainsnapshot>{name}<state>{state}</state>{parent}{domain}{inactive}</domainsnapshot>"


@pytest.mark.parametrize(("state", "with_memory"), [("shutoff", False), ("running", True), ("paused", True)])
def test_a_snapshot_says_what_would_come_back(state, with_memory):
    found = read_snapshot(snapshot(state))
    assert (found.name, found.parent, found.with_memory) == ("before", "first", with_memory)
    assert [one.mac for one in found.adapters] == [port.mac for port in PORTS]
    assert found.state().id == found.state().name == "before" and found.state().running is with_memory


def test_a_snapshot_is_rewritten_in_both_its_domains():
    macs = {port.instance_id: port.mac for port in RENEWED}
    after = snapshot_with_macs(snapshot(), macs)
    assert [one.mac for one in read_snapshot(after).adapters] == [port.mac for port in RENEWED]
    seen = {one.get("address") for one in ET.fromstring(after).iter("mac")}
    assert len(seen) == 2
    assert snapshot_with_macs(after, {port.instance_id: port.mac for port in PORTS}) == snapshot_with_macs(
        snapshot(), {port.instance_id: port.mac for port in PORTS}
    )
    with pytest.raises(Unfit, match="interface ids"):
        snapshot_with_macs(snapshot(), {PORTS[0].instance_id: PORTS[0].mac})
    twice = XML.replace(PORTS[0].instance_id, PORTS[1].instance_id)
    with pytest.raises(Unfit, match="interface ids"):
        snapshot_with_macs(snapshot(domain=twice), macs)


CAPABILITIES = """<capabilities><guest><os_type>hvm</os_type><arch name='i686'><machine>pc</machine><domain type='kvm'/>
</arch></guest><guest><os_type>hvm</os_type><arch name='x86_64'><machine>pc</machine><machine>q35</machine>
<domain type='qemu'/>{}</arch></guest></capabilities>"""


def test_what_a_host_can_run_is_in_its_capabilities():
    assert domain_types(CAPABILITIES.format("")) == ("qemu",)
    assert domain_types(CAPABILITIES.format("<domain type='kvm'/>")) == ("kvm", "qemu")
    assert machine_types(CAPABILITIES.format("")) == {"pc", "q35"}
    assert domain_types("<capabilities/>") == () and machine_types("<capabilities/>") == frozenset()
