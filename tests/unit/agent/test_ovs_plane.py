"""What the plane of a host with Open vSwitch makes of what the hypervisor says of its ports."""

import asyncio

import msgspec
import pytest

from tests.contract.test_edge import EDGE
from tests.unit.agent.beside import beside
from tests.unit.agent.policies import GUESTS
from tests.waiting import soon
from weft.agent.edge.pulses import MISSES
from weft.agent.ovs.plane import OvsPlane
from weft.agent.provider_keeper import ProviderKeeper
from weft.agent.switch import SwitchMac
from weft.fakes.edge import FakeEdge
from weft.fakes.network import ProviderNetwork
from weft.fakes.outside import ProviderLan
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.records import Machine, NetworkSettings, ProviderAddress
from weft.model.values import Mac, PackedIp, pack_ip
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

    async def acts_until(so):
        async with asyncio.timeout(30):
            while not so():
                await plane.look()
                await plane.act(True)
                await asyncio.sleep(0)

    def words():
        return [one.message for one in plane.telling("").problems]

    async with beside(plane.serve()):
        text = "provider address 192.168.1.10: this host has no interface br-phy (--provider-interface)"
        await acts_until(lambda: words() == [text])
        assert not plane.settled
        lan.adapters["br-phy"] = bridge
        await acts_until(lambda: plane.settled)
        assert [(one.address, one.ours) for one in switch.addresses.found()] == [(own.address, True)]
        assert words() == []


@pytest.mark.parametrize(
    ("carrier", "so"), [("eth9", "(--provider-interface)"), ("", "any more"), ("eth8", "any more")]
)
async def test_an_interface_that_is_not_there_is_told_by_who_named_it(carrier, so):
    lan, looked = ProviderLan(), asyncio.Event()
    lan.carrier = carrier
    keeper = ProviderKeeper(lan.outside(), looked.set)
    keeper.want({pack_ip("192.168.1.10"): "eth9"}, ())
    async with beside(keeper.run()):
        await asyncio.wait_for(looked.wait(), 30)
    assert list(keeper.nowhere()) == [f"provider address 192.168.1.10: this host has no interface eth9 {so}"]


WAITS = "held back: provider address 192.168.1.31 is not this host's to use yet, and those of others of its network are"
WRONG = "port vnet1 has attached-mac 00-00-00-00-00-01, the interface has 00-1D-D8-B7-1C-01"


@pytest.mark.parametrize(
    ("power", "runs", "port", "told"),
    [
        ("Running", False, None, ("absent", WAITS)),
        ("Running", True, None, ("absent", "")),
        ("Off", False, None, ("absent", "")),
        ("Incoming", False, None, ("absent", "")),
        ("Running", False, 1, ("closed", WRONG)),
    ],
)
async def test_a_machine_that_is_held_back_for_its_address_is_told_with_that(power, runs, port, told):
    """Its port would close its network to the one beside it, whose subnet has another address here. Of one that nobody
    starts, or whose port is closed for another reason, this is not why it has none."""
    own, theirs = pack_ip("192.168.1.10"), pack_ip("192.168.1.31")
    switch = FakeSwitch("host1", ProviderNetwork())
    plane = OvsPlane(switch)
    comes = msgspec.structs.replace(BLUE1.binding(), provider_address=theirs)
    beside = msgspec.structs.replace(GUESTS["bluedb"].binding(), provider_address=own)
    for record in (comes, beside, Machine("blue1", power, (BLUE1.instance,), "id-1")):
        plane.put(HOST_STREAM, record.key, record)
    plane.machines_are([MachineState("blue1", "Running" if runs else "Off", id="id-1")])
    plane.reconciler.withhold(frozenset({theirs}), frozenset({theirs}))
    if port is not None:
        switch.plug("vnet1", BLUE1.instance, Mac(port))

    async def says():
        plane.changed()
        await plane.look()
        await plane.act(True)
        port = next(one for one in plane.telling("").ports if one.instance_id == BLUE1.instance)
        return port.state, port.reason, BLUE1.instance in plane.standing().waiting

    assert await says() == (*told, True)
    has_tunnels = [one.message for one in plane.telling("").problems if "tunnel" in one.message] == []
    assert has_tunnels, "its network has them, it only waits for its own"
    plane.reconciler.withhold(frozenset())
    assert await says() == (told[0], told[1] if port else "", False)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_edge_knows_whether_its_network_is_encrypted_before_it_is_made(encrypted):
    driver = FakeEdge()
    plane = OvsPlane(FakeSwitch("host1", ProviderNetwork()), edge=driver)
    async with beside(plane.serve()):
        other = msgspec.structs.replace(EDGE, rdid=8)
        for record in (EDGE, other):
            plane.put(HOST_STREAM, record.key, record)
        settings = NetworkSettings(EDGE.rdid, "vxlan", "/virtualNetworks/blue", encrypted=encrypted)
        plane.put(EDGE.rdid, settings.key, settings)
        await plane.look()
        await plane.act(False)
        await soon(lambda: driver.edges)
        assert {rdid: one.encrypted for rdid, one in driver.edges.items()} == {EDGE.rdid: encrypted}


async def test_a_gateway_takes_over_while_the_plane_is_at_something_else():
    driver = FakeEdge()
    first = pack_ip("192.168.1.9")
    plane = OvsPlane(FakeSwitch("host1", ProviderNetwork()), edge=driver, probes_as=1)
    async with beside(plane.serve()):
        edge = msgspec.structs.replace(EDGE, gateways=(first, EDGE.provider_address))
        plane.put(HOST_STREAM, edge.key, edge)
        await plane.look()
        await plane.act(True)
        await soon(lambda: [one.carries for one in driver.edges.values()] == [False])
        for _ in range(MISSES + 1):
            plane._probes.pulses.beat([first])
        plane._probes._tell(frozenset())
        await soon(lambda: driver.edges[EDGE.rdid].carries)


async def test_a_gateway_is_ready_only_while_its_networks_have_tunnels_here(monkeypatch):
    for seconds in ("claims.AGAIN_SECONDS", "provider_keeper.LOOK_SECONDS"):
        monkeypatch.setattr(f"weft.agent.{seconds}", 0.01)
    lan, switch = ProviderLan(), FakeSwitch("host1", ProviderNetwork())
    switch.readdress([EDGE.provider_address])
    lan.claim("192.168.1.10", "02-AA-00-00-00-07")
    plane = OvsPlane(switch, edge=FakeEdge(), probes_as=1, outside=lan.outside())
    own = ProviderAddress(EDGE.provider_address, 24, PackedIp(b""), "/logicalNetworks/hnvpa")
    settings = NetworkSettings(EDGE.rdid, "vxlan", "/virtualNetworks/blue")
    for record in (own, EDGE):
        plane.put(HOST_STREAM, record.key, record)
    plane.put(EDGE.rdid, settings.key, settings)

    async def acts_until(so):
        async with asyncio.timeout(30):
            while not so():
                await plane.look()
                await plane.act(True)
                await asyncio.sleep(0)

    async with beside(plane.serve()):
        await acts_until(lambda: plane.settled and plane._keeper.ready)
        assert not plane._ready()
        lan.give_up("192.168.1.10")
        await acts_until(plane._ready)
