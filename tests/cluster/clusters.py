"""Random clusters for the packet oracle, drawn by hypothesis: tenants that share prefixes, addresses and MACs."""

import itertools
from typing import NamedTuple

from hypothesis import strategies as st

from tests.cluster.world import World

HOSTS = ("h1", "H2", "h3")
TENANTS = ("blue", "Red")
SUBNETS = ("web", "db")
PHASES = ("", "preparing", "switching", "switched", "done", "failed")


class Vm(NamedTuple):
    """A machine with one interface. `number` gives its addresses and MAC, equal in every tenant."""

    tenant: str
    subnet: str
    number: int
    host: str
    power: str
    dual: bool

    @property
    def name(self):
        return f"{self.tenant}{self.number}".lower()

    @property
    def mac(self):
        return 0x020000000000 + self.number

    @property
    def addresses(self):
        third = 1 + SUBNETS.index(self.subnet)
        four = f"10.1.{third}.{self.number}"
        return (four, f"fd00:{third}::{self.number:x}") if self.dual else (four,)

    def address(self, version):
        return next((one for one in self.addresses if (":" in one) == (version == 6)), None)


def vms(tenant):
    return st.builds(
        Vm,
        st.just(tenant),
        st.sampled_from(SUBNETS),
        st.integers(11, 14),
        st.sampled_from(HOSTS),
        st.sampled_from(("Running", "Running", "Running", "Off", "Saved")),
        st.booleans(),
    )


class Plan(NamedTuple):
    protocol: str
    vms: tuple[Vm, ...]
    move: tuple[int, str, str]
    """Which running machine moves (modulo), where to, and the phase that it has reached."""
    policy: str = "perHost"
    """How hosts have provider addresses."""
    kinds: tuple[str, ...] = ()
    """The protocols of the tenants' networks; empty: that of all. One of them rewrites at most: machines have the same
    MAC addresses in both, and rewritten packets go by these on one wire."""
    lans: tuple[int, ...] = ()
    """VLANs with machines that have the addresses of tenants; 0: untagged, as the provider network is."""

    def third(self, number):
        """Of the provider addresses of a host: hosts share a subnet where headers are rewritten."""
        return 1 if "Rewrite" in self.kinds else 1 + number % 2


plans = st.builds(
    Plan,
    st.sampled_from(("NVGRE", "VXLAN")),
    st.tuples(
        *(st.lists(vms(tenant), min_size=1, max_size=4, unique_by=lambda vm: vm.number) for tenant in TENANTS)
    ).map(lambda both: tuple(both[0] + both[1])),
    st.tuples(st.integers(0, 7), st.sampled_from(HOSTS), st.sampled_from(PHASES)),
    st.sampled_from(("perHost", "several", "perVirtualSubnet")),
    st.just(()),
    st.just(()),
)


def build(plan):
    """The state of a plan before its move."""
    world = World()
    world.protocol(plan.protocol)
    world.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24", pa6="fd99::/64")
    for number, host in enumerate(HOSTS, 1):
        subnet = f"192.168.{plan.third(number)}"
        world.server(host, *(f"{subnet}.{10 * number + one}" for one in range(3 if plan.policy == "several" else 1)))
        world.policy(host, plan.policy)
    for rdid, tenant in enumerate(TENANTS, 50):
        base = rdid * 100
        world.network(
            tenant,
            rdid,
            {
                "web": ("10.1.1.0/24", base),
                "web6": ("fd00:1::/64", base),
                "db": ("10.1.2.0/24", base + 1),
                "db6": ("fd00:2::/64", base + 1),
            },
        )
        for subnet in ("web", "db"):
            world.pair(tenant, subnet, f"{subnet}6")
    by_subnet = itertools.product(enumerate(HOSTS, 1), TENANTS, enumerate(("web", "db")))
    for (number, host), tenant, (at, subnet) in by_subnet if plan.policy == "perVirtualSubnet" else ():
        last = 100 + 10 * number + 2 * TENANTS.index(tenant) + at
        text = f"192.168.{plan.third(number)}.{last}"
        world.subnet_address(host, f"/virtualNetworks/{tenant}/subnets/{subnet}", text)
    for vm in plan.vms:
        ref = f"/virtualNetworks/{vm.tenant}/subnets/{vm.subnet}"
        places = [(ref + ("6" if ":" in address else ""), address) for address in vm.addresses]
        world.interface(f"{vm.name}-eth0", vm.mac, *places)
        world.machine(vm.name, vm.host, [f"{vm.name}-eth0"], vm.power)
    kinds = dict(zip(TENANTS, plan.kinds, strict=False))
    for tenant, kind in kinds.items():
        world.encapsulate(tenant, kind)
    _stand(world, [vm for vm in plan.vms if kinds.get(vm.tenant) == "Rewrite"])
    for vlan in plan.lans:
        _on_a_lan(world, vlan)
    return world


def _stand(world, vms):
    """On every host a provider address for each address of each."""
    places = itertools.product(vms, HOSTS, (0, 1))
    for number, (vm, host, place) in enumerate(places, 150):
        if place < len(vm.addresses):
            text = f"fd99::{number}" if place else f"192.168.1.{number}"
            world.stand(host, f"{vm.name}-eth0", text, True, place)


def _on_a_lan(world, vlan):
    """One machine on each host; on untagged frames, where rewritten packets are too and go by MAC addresses, with MAC
    addresses of their own, and one machine more that may have any address."""
    lan, macs = f"v{vlan}x", 0x020000000000 if vlan else 0x02000000A000
    world.vlans(lan, only=("10.1.1.0/24", vlan), free=("", vlan))
    for number, host in enumerate((*HOSTS, HOSTS[0])[: 3 + (not vlan)], 11):
        name, place = ("only", f"10.1.1.{number}") if number < 14 else ("free", None)
        ref = f"/logicalNetworks/{lan}/subnets/{name}"
        world.interface(f"{lan}{number}-eth0", macs + number, (ref, place))
        world.machine(f"{lan}{number}", host, [f"{lan}{number}-eth0"], "Running")


def moves_in(plan):
    """(machine, destination, phases to pass) of the plan's move; no phases if it has none."""
    running = [vm for vm in plan.vms if vm.power == "Running"]
    which, destination, phase = plan.move
    if not running or not phase or running[which % len(running)].host == destination:
        return "", destination, ()
    order = ("preparing", "switching", "switched", "done")
    phases = ("preparing", "failed") if phase == "failed" else order[: order.index(phase) + 1]
    return running[which % len(running)].name, destination, phases
