"""Who picks a machine's address in the old systems: the host, VMM, a script that draws at random, a plan of ranges.

Used by sim.old_cluster, which lets one of them see each host and each new machine. All of them act on the hosts of
sim.hyperv.
"""

from collections.abc import Callable
from typing import Protocol

from weft.core.space import Space
from weft.model.errors import Conflict, InvalidMacAddress
from weft.model.values import Mac, Rng
from weft.sim.address_range import plan_bounds
from weft.sim.hyperv import Adapter, Host, Machine, StartFailed

VMM_POOL = (Mac(0x001DD8B71C00), Mac(0x001DD8F41FFF))
"""VMM's default pool for static addresses of Hyper-V machines: 3 998 720 of them."""


class NoAddress(Conflict):
    """A system of old has no address for a new machine."""


class Assignment(Protocol):
    """How new machines come to their addresses."""

    def host_added(self, host: Host) -> None: ...
    def created(self, host: Host, machine: Machine) -> None: ...
    def cloned(self, host: Host, source: Machine, name: str) -> Machine: ...


class LeftToHost:
    """Hyper-V's default: dynamic adapters, zeros until the first start. Also the default of VMM."""

    def host_added(self, host: Host) -> None:
        """Each host makes its own range."""

    def created(self, host: Host, machine: Machine) -> None:
        """Nothing is picked before the first start."""

    def cloned(self, host: Host, source: Machine, name: str) -> Machine:
        clone = source.export().machine(name)
        host.add(clone)
        return clone


class Vmm:
    """SCVMM: dynamic adapters are left to the host, static ones come from a pool of VMM's own, which hosts do not know.

    Pooled desktops must be dynamic: Remote Desktop Services refuses a template with a static address.
    """

    def __init__(self, is_pooled: Callable[[str], bool], *, clones_show_zeros: bool = False) -> None:
        self._is_pooled = is_pooled
        self._clones_show_zeros = clones_show_zeros
        """Of a dynamic clone until its first start: zeros, or the source's address; both were reported."""
        self._pool = Space(VMM_POOL[1] - VMM_POOL[0] + 1)
        self._cursor = 0

    @property
    def used(self) -> int:
        """Addresses of the pool that were generated."""
        return self._pool.used

    def host_added(self, host: Host) -> None:
        """VMM leaves the hosts' own ranges as they are."""

    def created(self, host: Host, machine: Machine) -> None:
        if not self._is_pooled(machine.name):
            for adapter in machine.adapters:
                host.set_static(machine, adapter, self.generate())

    def generate(self) -> Mac:
        """The Generate button. Raises NoAddress."""
        found = self._pool.next_free(self._cursor)
        if found is None:
            raise NoAddress("VMM's pool of static MAC addresses is exhausted.")
        self._pool.take(found)
        self._cursor = found + 1
        return Mac(VMM_POOL[0] + found)

    def cloned(self, host: Host, source: Machine, name: str) -> Machine:
        """A static address is copied and stays; a dynamic one is drawn by the host at the first start."""
        clone = Machine(name, tuple(self._clone(each) for each in source.adapters))
        host.add(clone)
        return clone

    def _clone(self, adapter: Adapter) -> Adapter:
        if not adapter.dynamic:
            return Adapter(adapter.name, adapter.mac, dynamic=False)
        shown = Adapter(adapter.name, 0 if self._clones_show_zeros else adapter.mac)
        shown.assigned = False
        return shown


class RandomOnNode:
    """The script of "generating random MAC on node": twelve digits of 0 to e, tried on the host until it takes one.

    Its generator's upper bound is exclusive, so the digit f never comes; 7 of 15 draws are group addresses. Nobody
    asks other hosts.
    """

    ATTEMPTS = 50

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self.refused = 0
        """Draws that a host did not take."""

    def draw(self) -> Mac:
        mac = 0
        for _ in range(12):
            mac = mac << 4 | self._rng.randrange(15)
        return Mac(mac)

    def host_added(self, host: Host) -> None:
        """The script needs no preparation."""

    def created(self, host: Host, machine: Machine) -> None:
        for adapter in machine.adapters:
            self._set(host, machine, adapter)

    def cloned(self, host: Host, source: Machine, name: str) -> Machine:
        """The script is run for a clone too, which is more than is promised."""
        clone = Machine(name, tuple(Adapter(each.name) for each in source.adapters))
        host.add(clone)
        self.created(host, clone)
        return clone

    def _set(self, host: Host, machine: Machine, adapter: Adapter) -> None:
        for _ in range(self.ATTEMPTS):
            try:
                host.set_static(machine, adapter, self.draw())
            except InvalidMacAddress:
                self.refused += 1
            else:
                return
        raise NoAddress(f"No address was accepted for {machine.name} in {self.ATTEMPTS} tries.")


class HostRangePlan:
    """A range for each host, typed by hand, and the trick to get an address of it: start once with a dynamic adapter,
    stop, and make static what was drawn. A machine that goes to another host takes its address along, and its old host
    forgets it.
    """

    def __init__(self, hosts_per_cluster: int = 16) -> None:
        self._hosts_per_cluster = hosts_per_cluster
        self._hosts = 0

    def host_added(self, host: Host) -> None:
        """The next range of the plan; an image of another host gets its own too."""
        host.set_range(*plan_bounds(*divmod(self._hosts, self._hosts_per_cluster)))
        self._hosts += 1

    def created(self, host: Host, machine: Machine) -> None:
        """Raises NoAddress where the start of the trick fails; the machine stays without address."""
        try:
            drawn = draw_by_starting(host, machine)
        except StartFailed as failed:
            raise NoAddress(failed.message) from failed
        make_static(host, machine, drawn)

    def cloned(self, host: Host, source: Machine, name: str) -> Machine:
        """The script is run for a clone too, which is more than is promised."""
        clone = Machine(name, tuple(Adapter(each.name) for each in source.adapters))
        host.add(clone)
        self.created(host, clone)
        return clone


def draw_by_starting(host: Host, machine: Machine) -> tuple[Mac, ...]:
    """First half of the trick: start and stop, then read what was drawn. Raises StartFailed."""
    host.start(machine)
    host.stop(machine)
    return tuple(adapter.mac for adapter in machine.adapters)


def make_static(host: Host, machine: Machine, macs: tuple[Mac, ...]) -> None:
    """Second half: whatever happened in between is not looked at."""
    for adapter, mac in zip(machine.adapters, macs, strict=True):
        host.set_static(machine, adapter, mac)


def mimic_decimal(ipv4: str) -> str:
    """An address that repeats an IPv4 address, each octet's decimal digits as they are: 10.1.0.15 is 00-00-10-01-00-15.

    An octet above 99 does not fit; then the text has three digits there and is no MAC address.
    """
    return "00-00-" + "-".join(f"{int(octet):02d}" for octet in ipv4.split("."))


def mimic_hex(ipv4: str) -> str:
    """The same in hexadecimal: 172.16.0.253 is 00-00-AC-10-00-FD. Both kinds meet in one network."""
    return "00-00-" + "-".join(f"{int(octet):02X}" for octet in ipv4.split("."))
