"""What tests of the libvirt driver ask of it, and what somebody does to a libvirtd beside it."""

import re

import msgspec
import pytest

from tests.contract.hypervisor_worlds import (
    WEB,
    WEB_PORTS,
    do,
)
from weft.agent.hypervisors import (
    CarryOut,
    HypervisorFailure,
)
from weft.model.hypervisor import Hardware
from weft.model.records import Errand
from weft.model.values import Mac


@pytest.fixture
def world(libvirt_daemons):
    libvirt_daemons.begin()
    yield libvirt_daemons
    libvirt_daemons.clear()


def web(*disks, **more):
    return msgspec.structs.replace(WEB, hardware=Hardware(memory_mib=32, disks=tuple(disks)), **more)


async def state(world, name="web", host="host1"):
    return next(one for one in (await world.hypervisors[host].facts()).machines if one.name == name)


def macs(one):
    return [adapter.mac for adapter in one.adapters]


def renewed(ports):
    return tuple(msgspec.structs.replace(one, mac=Mac(one.mac + 0x80)) for one in ports)


async def refused(world, verb, words):
    with pytest.raises(HypervisorFailure, match=words) as caught:
        await do(world, "host1", verb)
    assert "host1" in str(caught.value)
    return str(caught.value)


def errand(kind, name="before", machine=None, **more):
    one = machine or WEB
    return CarryOut(msgspec.structs.replace(one, errand=Errand(7, kind, name, **more)), WEB_PORTS)


STRANGER = """<domain type='qemu'><name>{}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os>{}</domain>"""


def define_by_hand(world, xml):
    with world.connected("host1") as connection:
        connection.defineXML(xml)


def xml_of(world, name="web"):
    with world.connected("host1") as connection:
        return connection.lookupByName(name).XMLDesc(2)


def link(world, at, state):
    """Another hand pulls or plugs a cable, as virsh domif-setlink does."""
    with world.connected("host1") as connection:
        domain = connection.lookupByName("web")
        interface = re.findall(r"<interface.*?</interface>", domain.XMLDesc(0), re.DOTALL)[at]
        interface = re.sub(r"<link state='\w+'/>", "", interface)
        domain.updateDeviceFlags(interface.replace("</interface>", f"<link state='{state}'/></interface>"), 1)
