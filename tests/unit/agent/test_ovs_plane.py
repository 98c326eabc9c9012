"""What the plane of a host with Open vSwitch makes of what the hypervisor says of its ports."""

from tests.unit.agent.policies import GUESTS
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import SwitchMac
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.records import Machine
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
