"""What the plane of a host with Open vSwitch makes of what the hypervisor says of its ports."""

import asyncio

import msgspec
import pytest

from tests.contract.test_edge import EDGE
from tests.unit.agent.policies import GUESTS
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import SwitchMac
from weft.fakes.edge import FakeEdge
from weft.fakes.network import ProviderNetwork
from weft.fakes.outside import ProviderLan
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.records import Machine, NetworkSettings, ProviderAddress
from weft.model.values import PackedIp, pack_ip
from weft.wire.messages import HOST_STREAM, SeenMac

BLUE1 = GUESTS["blue1"]


async def test_an_adapter_of_ours_on_another_bridge_is_no_stranger(monkeypatch):
    """As one of a machine that was taken in while it runs may be."""
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.0)
    switch = FakeSwitch("host1", ProviderNetwork())
    plane = OvsPlane(switch)
    machine = Machine("blue1", "Running", (BLUE1.instance,), "id-1", macs=(BLUE1.mac,))
    for record in (BLUE1.binding(), machine):
        plane.put(HOST_STREAM, record.key, record)
    own = AdapterState(int(BLUE1.mac), name="vnet7", switch="br-old")
    plane.machines_are(
        [MachineState("", "Running", id="id-1", adapters=(own,)), MachineState("", "Running", id="id-2")]
    )
    switch.show_mac(SwitchMac(int(BLUE1.mac), "vnet7", "br-old"))
    switch.show_mac(SwitchMac(int(BLUE1.mac), "vnet8", "br-old"))
    await plane.look()
    await plane.act(True)
    await plane.look_around()
    assert plane.telling("").seen == (SeenMac(int(BLUE1.mac), "vnet8", "br-old"),)


async def test_an_interface_that_was_named_and_is_not_there_is_told_and_waited_for(monkeypatch):
    monkeypatch.setattr("weft.agent.provider_keeper.LOOK_SECONDS", 0.01)
    lan = ProviderLan()
    lan.carrier, bridge = "br-phy", lan.adapters.pop("br-phy")
    switch = FakeSwitch("host1", ProviderNetwork())
    plane = OvsPlane(switch, outside=lan.outside())
    own = ProviderAddress(pack_ip("192.168.1.10"), 24, PackedIp(b""), "/logicalNetworks/hnvpa")
    plane.put(HOST_STREAM, own.key, own)
    serving = asyncio.create_task(plane.serve())

    async def until(so):
        async with asyncio.timeout(5):
            while not so():
                await plane.look()
                await plane.act(True)
                await asyncio.sleep(0)

    def words():
        return [one.message for one in plane.telling("").problems]

    try:
        text = "provider address 192.168.1.10: this host has no interface br-phy (--provider-interface)"
        await until(lambda: words() == [text])
        assert not plane.settled
        lan.adapters["br-phy"] = bridge
        await until(lambda: plane.settled)
        assert [(one.address, one.ours) for one in switch.addresses.found()] == [(own.address, True)]
        assert words() == []
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_edge_knows_whether_its_network_is_encrypted_before_it_is_made(encrypted):
    driver = FakeEdge()
    plane = OvsPlane(FakeSwitch("host1", ProviderNetwork()), edge=driver)
    serving = asyncio.create_task(plane.serve())
    try:
        other = msgspec.structs.replace(EDGE, rdid=8)
        for record in (EDGE, other):
            plane.put(HOST_STREAM, record.key, record)
        settings = NetworkSettings(EDGE.rdid, "vxlan", "/virtualNetworks/blue", encrypted=encrypted)
        plane.put(EDGE.rdid, settings.key, settings)
        await plane.look()
        await plane.act(False)
        async with asyncio.timeout(5):
            while not driver.edges:
                await asyncio.sleep(0)
        assert {rdid: one.encrypted for rdid, one in driver.edges.items()} == {EDGE.rdid: encrypted}
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
