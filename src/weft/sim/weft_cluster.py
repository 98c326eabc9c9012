"""A cluster whose addresses Weft gives: drives the real rules of weft.core on a state of its own, not a model of them.

Used by sim.strategies. What a controller would ask for an event is decided and applied here; there are no hosts to
carry it out, so they do at once what was decided. Ids count up, and the ledger's time is the life's, so a run can be
repeated.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from weft.core.commands import (
    AdvanceMove,
    Batch,
    BeginMove,
    Command,
    Decision,
    Delete,
    EndCoolDowns,
    Failover,
    Path,
    Put,
    SetPower,
)
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.core.decide import decide_and_apply
from weft.core.state import State
from weft.model.errors import Refusal
from weft.model.fabric import (
    IpPoolProperties,
    LogicalNetworkProperties,
    LogicalSubnetProperties,
    MacPoolProperties,
    ServerProperties,
)
from weft.model.resources import Ref, Resource
from weft.model.values import Mac, Now, mac_dashes
from weft.model.workload import IpConfigurationProperties, NetworkInterfaceProperties, VirtualMachineProperties
from weft.sim import events
from weft.sim.assignments import VMM_POOL
from weft.sim.cluster import Fill, View

POOL = "/macpools/pool1"
NETWORK = "lan"


class WeftCluster:
    """See sim.cluster.Cluster. L2 domains are VLANs of one logical network, so machines are in real subnets."""

    def __init__(self, domains: int) -> None:
        self.state = State("simulated")
        self._now = Now(0.0, 0.0)
        self._ids = (f"00000000-0000-4000-8000-{number:012x}" for number in itertools.count(1))
        first, last = (mac_dashes(mac) for mac in VMM_POOL)
        self._put("macPools", "pool1", MacPoolProperties(start_mac_address=first, end_mac_address=last))
        self._put("logicalNetworks", NETWORK, LogicalNetworkProperties(subnets=tuple(_subnets(domains))))

    def happen(self, event: events.Event) -> int:
        self._now = Now(float(event.at), float(event.at))
        ends = self.state.cooling_ends()
        while ends is not None and ends <= event.at:
            self.do(EndCoolDowns())
            ends = self.state.cooling_ends()
        return _ACTS[type(event)](self, event)

    def view(self, machine: str) -> View | None:
        found = self.state.get("virtualMachines", machine)
        interface = self.state.get("networkInterfaces", _interface(machine))
        if found is None or interface is None:
            return None
        mac = Mac(int(interface.properties.private_mac_address or "0", 16))
        return View(mac, found.properties.power_state == "Running")

    def fill(self) -> Fill:
        pool = self.state.space(POOL)
        assert pool is not None
        return Fill(pool.taken.used, pool.capacity, pool.taken.used / pool.capacity)

    def do(self, command: Command) -> Decision:
        """As the controller's writer does it, without a store. Raises a Refusal."""
        decision = decide_and_apply(self.state, command, self._now, self._ids.__next__)
        if decision.changes:
            self.state.revision += 1
        return decision

    # -- what happens

    def _host_added(self, event: events.HostAdded) -> int:
        self._put("servers", event.host, ServerProperties())
        return 0

    def _created(self, event: events.Created) -> int:
        subnet = Ref(resource_ref=f"/logicalNetworks/{NETWORK}/subnets/vlan{event.domain + 1}")
        address = Resource(resource_id="ip1", properties=IpConfigurationProperties(subnet=subnet))
        interface = NetworkInterfaceProperties(private_mac_allocation_method="Dynamic", ip_configurations=(address,))
        machine = VirtualMachineProperties(
            server=Ref(resource_ref=f"/servers/{event.host}"),
            network_interfaces=(Ref(resource_ref=f"/networkInterfaces/{_interface(event.machine)}"),),
        )
        self.do(
            Batch(
                (
                    _put("networkInterfaces", _interface(event.machine), interface),
                    _put("virtualMachines", event.machine, machine),
                )
            )
        )
        return 0

    def _cloned(self, event: events.Cloned) -> int:
        self.do(Clone(event.source, event.machine, server=event.host))
        return 0

    def _deleted(self, event: events.Deleted) -> int:
        machine = Delete(Path("virtualMachines", event.machine))
        self.do(Batch((machine, Delete(Path("networkInterfaces", _interface(event.machine))))))
        return 0

    def _started(self, event: events.Started) -> int:
        return self._start(event.machine)

    def _stopped(self, event: events.Stopped) -> int:
        self.do(SetPower(event.machine, "Off"))
        return 0

    def _power_cycled(self, event: events.PowerCycled) -> int:
        self.do(SetPower(event.machine, "Off"))
        return self._start(event.machine)

    def _rebooted(self, event: events.Rebooted) -> int:
        """Nobody is asked."""
        return 0

    def _moved(self, event: events.Moved) -> int:
        begun = self.do(BeginMove(event.machine, event.host))
        assert begun.resource is not None
        move = begun.resource.properties.move
        for phase in ("switching", "switched", "done") if move is not None else ():
            self.do(AdvanceMove(event.machine, phase, move.generation))
        return 0

    def _checkpoint_taken(self, event: events.CheckpointTaken) -> int:
        self.do(TakeCheckpoint(event.machine, event.name))
        return 0

    def _rolled_back(self, event: events.RolledBack) -> int:
        """A pool of desktops is one decision."""
        self.do(Batch(tuple(Restore(machine, event.name) for machine in event.machines)))
        return sum(self._start(machine) for machine in event.machines)

    def _host_died(self, event: events.HostDied) -> int:
        for machine, host in event.to:
            self.do(Failover(machine, host))
        return 0

    def _start(self, machine: str) -> int:
        try:
            self.do(SetPower(machine, "Running"))
        except Refusal:
            return 1
        return 0

    def _put(self, kind: str, name: str, properties: Any) -> None:
        self.do(_put(kind, name, properties))


def _put(kind: str, name: str, properties: Any) -> Put:
    return Put(Path(kind, name), Resource(resource_id=name, properties=properties))


def _interface(machine: str) -> str:
    return f"{machine}-eth0"


def _subnets(domains: int) -> Iterator[Resource[LogicalSubnetProperties]]:
    """One VLAN and one /16 for each L2 domain."""
    for domain in range(domains):
        pool = IpPoolProperties(start_ip_address=f"10.{domain}.0.10", end_ip_address=f"10.{domain}.255.250")
        yield Resource(
            resource_id=f"vlan{domain + 1}",
            properties=LogicalSubnetProperties(
                address_prefix=f"10.{domain}.0.0/16",
                vlan_id=domain + 1,
                ip_pools=(Resource(resource_id="hosts", properties=pool),),
            ),
        )


_ACTS: dict[type[Any], Callable[[WeftCluster, Any], int]] = {
    events.HostAdded: WeftCluster._host_added,
    events.Created: WeftCluster._created,
    events.Cloned: WeftCluster._cloned,
    events.Deleted: WeftCluster._deleted,
    events.Started: WeftCluster._started,
    events.Stopped: WeftCluster._stopped,
    events.PowerCycled: WeftCluster._power_cycled,
    events.Rebooted: WeftCluster._rebooted,
    events.Moved: WeftCluster._moved,
    events.CheckpointTaken: WeftCluster._checkpoint_taken,
    events.RolledBack: WeftCluster._rolled_back,
    events.HostDied: WeftCluster._host_died,
}
