"""A host with a fake switch and one guest of the example policy, whose frames are bytes as scapy makes them."""

import asyncio
import contextlib

from scapy.layers.l2 import Ether

from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, host_records, network_records
from weft.agent.ovs.plane import OvsPlane
from weft.fakes.frames import frame, packet
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch

BLUE1 = GUESTS["blue1"]


class Bench:
    """blue1 on host1, and what came back to it."""

    def __init__(self):
        self.switch = FakeSwitch("host1", ProviderNetwork(), [HOSTS["host1"]])
        self.plane = OvsPlane(self.switch)
        self.switch.plug("tap1", BLUE1.instance, BLUE1.mac)
        for record in host_records("host1"):
            self.plane.put(0, record.key, record)
        for record in network_records(BLUE):
            self.plane.put(BLUE, record.key, record)

    async def tell(self, stream, record):
        """The host is told of another record."""
        self.plane.put(stream, record.key, record)
        await self.settle()

    async def settle(self):
        self.plane.changed()
        await self.plane.look()
        await self.plane.act(True)

    async def send(self, sent):
        """What the guest gets for a frame from the agent; nothing else comes out of any port."""
        self.switch.announced.clear()
        assert self.switch.inject("tap1", packet(bytes(sent))) == []
        for _ in range(10):
            await asyncio.sleep(0)
        assert all((one.host, one.port) == ("host1", "tap1") for one in self.switch.announced)
        return [Ether(frame(one.packet)) for one in self.switch.announced]


@contextlib.asynccontextmanager
async def open_bench():
    made = Bench()
    for _ in range(2):  # the tunnel, then what goes through it
        await made.settle()
    serving = asyncio.create_task(made.plane.serve())
    yield made
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
