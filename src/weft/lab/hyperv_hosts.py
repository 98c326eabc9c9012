"""Fake Hyper-V hosts with Weft's agents on them: no Windows anywhere. Made by the demo and by the stories' tests.

The agents are the real ones, with the driver and the plane of `weft agent --driver hyperv`; what they send is run by
the fake hosts as PowerShell. What they lend their word to (a controller) is for whoever makes them to find.
"""

from weft.agent.agent import Agent
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.plane import HyperVPlane
from weft.agent.link import Identity
from weft.agent.memory import Memory
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.host import FakeHost
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell

ADAPTER = "Ethernet"
"""The physical adapter of a fake host."""
LOOK_PULSES = 10
"""Looks at the machines for each look at the network virtualization of a host."""


class HyperVHosts:
    """One datacenter. `pulse` is the seconds between two looks of an agent at what other hands did."""

    def __init__(self, pulse: float = 0.1) -> None:
        self.center = HyperVDatacenter()
        self.shells: dict[str, FakeShell] = {}
        """What the agents of each host have run there stands in `ran`."""
        self._pulse = pulse

    def add(self, name: str, ipv4: str) -> FakeHost:
        """`ipv4` decides what range of dynamic MAC addresses the host has."""
        host = self.center.add_host(name, ipv4)
        self.shells[name] = FakeShell(host)
        return host

    def console(self, name: str) -> Console:
        """Somebody's hand at that host."""
        return Console(self.center, name)

    def agent(self, name: str, agent_id: str, memory: Memory | None = None) -> Agent:
        """A fresh agent of the host, to be run and connected by the caller."""
        shell = self.shells[name]
        plane = HyperVPlane(name, shell, ADAPTER, LOOK_PULSES * self._pulse)
        return Agent(Identity(name, agent_id, "hyperv"), plane, HyperVDriver(name, shell, self._pulse), memory)
