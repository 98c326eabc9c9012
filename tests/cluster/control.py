"""A whole controller in a temporary folder, with a clock moved by hand: what the tests of control are built on."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

from tests.cluster.feed_agent import FeedAgent
from weft.control.controller import Controller
from weft.core.changes import Commit
from weft.core.commands import Actor, Command, Put
from weft.core.commands import Path as Name
from weft.model import fabric, tenancy, workload
from weft.model.errors import StoreUnavailable
from weft.model.resources import Ref, Resource
from weft.store.store import Store

ANN = Actor("ann")


class HandClock:
    """Both clocks stand still until moved; the wall may be set to anything."""

    def __init__(self, monotonic: float = 1000.0, wall: float = 1_700_000_000.0):
        self._monotonic, self._wall = monotonic, wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def pass_s(self, seconds: float) -> None:
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, wall: float) -> None:
        self._wall = wall


class Ids:
    """GUIDs in a row, other ones for each start."""

    starts = itertools.count(1)

    def __init__(self):
        self._start = next(self.starts)
        self._next = itertools.count(1)

    def __call__(self) -> str:
        return f"{self._start:08x}-0000-4000-8000-{next(self._next):012x}"


class FailingStore:
    """A store with switches: while `fails`, no transaction goes through, and no commit of which `fails_at` is true."""

    def __init__(self, store: Store):
        self._store = store
        self.fails = False
        self.fails_at: Callable[[Commit], bool] | None = None

    def commit(self, commit: Commit, actors, answers=(), refused=()) -> None:
        self._check(self.fails_at is not None and self.fails_at(commit))
        self._store.commit(commit, actors, answers, refused)

    def forget_agent(self, server: str) -> None:
        self._check()
        self._store.forget_agent(server)

    def _check(self, fails: bool = False) -> None:
        if self.fails or fails:
            raise StoreUnavailable("The disk is full, says the test.")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def open_in(folder: Path, clock: HandClock | None = None) -> Controller:
    return Controller.open(folder, clock or HandClock(), Ids())


def put(kind: str, name: str, properties: object) -> Put:
    return Put(Name(kind, name), Resource(resource_id=name, properties=properties))


def interface(name: str, subnet: str = "/virtualNetworks/blue/subnets/web", address: str | None = None) -> Put:
    method = "Dynamic" if address is None else "Static"
    wanted = workload.IpConfigurationProperties(
        private_ip_allocation_method=method, private_ip_address=address, subnet=Ref(subnet)
    )
    return put(
        "networkInterfaces",
        name,
        workload.NetworkInterfaceProperties(
            private_mac_allocation_method="Dynamic",
            ip_configurations=(Resource(resource_id="ip", properties=wanted),),
        ),
    )


def machine(name: str, server: str | None, *interfaces: str, power: str = "Off") -> Put:
    return put(
        "virtualMachines",
        name,
        workload.VirtualMachineProperties(
            server=Ref(f"/servers/{server}") if server else None,
            network_interfaces=tuple(Ref(f"/networkInterfaces/{one}") for one in interfaces),
            power_state=power,
        ),
    )


def fabric_commands(servers: int = 3, last_mac: str = "00-1D-D8-B7-FF-FF") -> list[Command]:
    """A MAC pool, a provider network, `host1` ..., and the network blue with the subnets web and db."""
    pool = fabric.IpPoolProperties(start_ip_address="192.168.1.10", end_ip_address="192.168.1.250")
    subnet = fabric.LogicalSubnetProperties(
        address_prefix="192.168.1.0/24",
        default_gateways=("192.168.1.1",),
        ip_pools=(Resource(resource_id="p", properties=pool),),
    )
    blue = tenancy.VirtualNetworkProperties(
        logical_network=Ref("/logicalNetworks/hnvpa"),
        address_space=tenancy.AddressSpace(("10.1.0.0/16",)),
        subnets=(
            Resource(resource_id="web", properties=tenancy.VirtualSubnetProperties(address_prefix="10.1.1.0/24")),
            Resource(resource_id="db", properties=tenancy.VirtualSubnetProperties(address_prefix="10.1.4.0/22")),
        ),
    )
    logical = fabric.LogicalNetworkProperties(
        network_virtualization_enabled=True, subnets=(Resource(resource_id="pa", properties=subnet),)
    )
    return [
        put(
            "macPools", "p1", fabric.MacPoolProperties(start_mac_address="00-1D-D8-B7-1C-00", end_mac_address=last_mac)
        ),
        put("logicalNetworks", "hnvpa", logical),
        *(put("servers", f"host{n}", fabric.ServerProperties()) for n in range(1, servers + 1)),
        put("virtualNetworks", "blue", blue),
    ]


async def fill(controller: Controller, *more: Command) -> None:
    for command in (*fabric_commands(), *more):
        await controller.submit(command, ANN)


def stored(store: Store) -> object:
    """Everything that the rows say, in an order that can be compared."""
    loaded = store.load()
    return (
        loaded.revision,
        sorted((kind, one.resource_id, one) for kind, found in loaded.resources.items() for one in found),
        sorted((one.scope, one.address, one) for one in loaded.leases),
        loaded.cursors,
    )


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(30):
        await asyncio.sleep(0)


async def deliver(*agents: FeedAgent) -> None:
    """Bring the agents up to date."""
    for _ in range(3):
        await settle()
        for agent in agents:
            agent.deliver()
    await settle()
