"""A datacenter as it comes to be: hosts with ranges of their own (a few cloned), machines that moved, checkpoints,
copies, static addresses. Seeded, so that every run has the same one.
"""

import random

from weft.model.inventory import Adapter, DynamicMacRange, Host, Inventory, Machine, MachineCheckpoint
from weft.model.values import mac_dashes

_PER_HOST = 100


def datacenter(machines: int, seed: int = 1) -> Inventory:
    """Two interfaces each, a third with a checkpoint, one in fifty away from home, one in a thousand a copy."""
    rng = random.Random(seed)
    hosts = [_host(at, rng) for at in range(machines // _PER_HOST + 1)]
    made: list[Machine] = []
    for at in range(machines):
        home = at // _PER_HOST
        here = hosts[home if rng.random() > 0.02 else rng.randrange(len(hosts))]
        if made and rng.random() < 0.001:
            interfaces = made[rng.randrange(len(made))].interfaces
        else:
            interfaces = tuple(_adapter(home, at % _PER_HOST * 2 + number, at, rng) for number in (0, 1))
        made.append(
            Machine(
                name=f"vm{at:06d}",
                id=f"{rng.getrandbits(128):032x}",
                host=here.name,
                power="running" if rng.random() < 0.8 else "off",
                clustered=True,
                interfaces=interfaces,
                checkpoints=(MachineCheckpoint(name="before", interfaces=interfaces),) if rng.random() < 0.33 else (),
            )
        )
    return Inventory(hosts=tuple(hosts), machines=tuple(made))


def _host(at: int, rng: random.Random) -> Host:
    tail = at - 1 if at and rng.random() < 0.01 else at
    first = 0x00155D << 24 | tail << 8
    bounds = DynamicMacRange(first=mac_dashes(first), last=mac_dashes(first | 0xFF))
    address = f"10.{at % 200}.{tail >> 8}.{tail & 255}"
    return Host(
        name=f"host{at:04d}", type="hyperv", cluster=f"c{at // 16}", dynamic_mac_range=bounds, addresses=(address,)
    )


def _adapter(home: int, number: int, at: int, rng: random.Random) -> Adapter:
    own = 0x00155D << 24 | home << 8 | number
    static = rng.random() < 0.3
    return Adapter(
        name=f"eth{number % 2}",
        mac=mac_dashes(rng.getrandbits(40) & 0xFFFFFFFF | 0x02A0 << 32 if static else own),
        mode="static" if static else "dynamic",
        switch="LAN",
        vlan=at % 50,
        ip_addresses=(f"10.{at % 50}.{at >> 8 & 255}.{at & 255}",) if number % 2 == 0 else (),
    )
