"""An inventory read once: names resolved, addresses as integers, indexed by what they could clash in.

Raises InvalidInventory with every fault of it, each at its place (`machines[3].interfaces[0].mac`).
"""

from collections.abc import Iterable, Iterator

import msgspec

from weft.core.audit.stabbing import Ranges
from weft.model.errors import Invalid, InvalidMacAddress
from weft.model.inventory import Adapter, AddressPool, DynamicMacRange, Host, Inventory, Machine
from weft.model.values import mac_dashes, pack_ip, parse_mac

Bounds = tuple[int, int]
"""First and last address of a range, both included."""

HYPERV_OUI = 0x00155D
ANYWHERE = ""
"""The domain of an interface that nothing says the network of: it may meet any other."""


class InvalidInventory(Invalid):
    """`faults` are (place, what is wrong and what to do)."""

    code = "InvalidInventory"

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        place, message = self.faults[0]
        super().__init__(f"{place}: {message}{more}", target=place)


class Site(msgspec.Struct):
    """A host. `bounds` is its dynamic range; None where nobody said it."""

    name: str
    type: str = ""
    cluster: str = ""
    bounds: Bounds | None = None
    cursor: int | None = None
    """What it drew last, where that is known and in its range."""
    addresses: tuple[bytes, ...] = ()
    segments: dict[str, str] = {}
    """Switch to segment, both lower case; a switch that is not in it is its own segment."""
    machines: int = 0
    managed_by: str = ""
    """scvmm or vcenter, in whose hands its machines are; empty: the host's own tools."""

    @property
    def is_hyperv(self) -> bool:
        return self.type == "hyperv"

    def soon(self, mac: int) -> str:
        """How soon it comes to an address of its range: it draws upwards from its cursor, and round."""
        if self.cursor is None or self.bounds is None:
            return ""
        width = self.bounds[1] - self.bounds[0] + 1
        draws = (mac - self.cursor - 1) % width + 1
        return f", within its next {draws} draws" if draws > 1 else ", with its next draw"


class Guest(msgspec.Struct, eq=False):
    """A machine. Two of one identity are one machine that is being moved."""

    name: str
    site: Site
    machine: Machine
    running: bool
    identity: str
    nics: list["Nic"] = []

    def __str__(self) -> str:
        return f"{self.name} on {self.site.name}" if self.site.name else self.name

    @property
    def standby(self) -> bool:
        """It starts only in place of another, or never."""
        return self.machine.is_replica or self.machine.is_template


class Nic(msgspec.Struct, eq=False):
    """An interface of a machine, or, with `checkpoint`, one that a checkpoint would bring back. `mac` 0: none yet."""

    guest: Guest
    adapter: Adapter
    mac: int
    dynamic: bool
    domain: str
    ips: tuple[bytes, ...] = ()
    checkpoint: str = ""

    def meets(self, other: "Nic") -> bool:
        """Whether frames of one reach the other."""
        return self.domain == other.domain or ANYWHERE in (self.domain, other.domain)


class Survey(msgspec.Struct):
    """What the searches read. Addresses that are not assigned yet are in no index."""

    sites: dict[str, Site] = {}
    guests: list[Guest] = []
    nics: list[Nic] = []
    captured: list[Nic] = []
    by_mac: dict[int, list[Nic]] = {}
    pools: list[tuple[str, Bounds]] = []
    ranges: Ranges[Site] = msgspec.field(default_factory=lambda: Ranges(()))
    pool_ranges: Ranges[str] = msgspec.field(default_factory=lambda: Ranges(()))
    checkpoints: int = 0

    def site(self, name: str) -> Site:
        """A host by its name; one that only machines name is made."""
        found = self.sites.get(name.lower())
        if found is None:
            found = self.sites[name.lower()] = Site(name)
        return found

    def reachable(self, guest: Guest) -> Iterator[Site]:
        """Hosts that a machine may come to run on, beside its own; those of its kind if it is clustered and no more
        is known."""
        machine = guest.machine
        names = {name.lower() for name in machine.possible_hosts}
        for key, site in self.sites.items():
            if site is guest.site:
                continue
            alike = site.cluster == guest.site.cluster and site.type == guest.site.type
            if key in names or (machine.clustered and not names and alike):
                yield site

    @property
    def may_move(self) -> set[str]:
        """Identities of machines that have somewhere else to go to."""
        clusters: dict[tuple[str, str], int] = {}
        for site in self.sites.values():
            clusters[site.cluster, site.type] = clusters.get((site.cluster, site.type), 0) + 1
        return {
            guest.identity
            for guest in self.guests
            if guest.machine.possible_hosts
            or (guest.machine.clustered and clusters[guest.site.cluster, guest.site.type] > 1)
        }


def domain_of(site: Site, adapter: Adapter) -> str:
    """The L2 domain of an interface when its machine is on that host; ANYWHERE if nothing tells."""
    vlan = f", VLAN {adapter.vlan}" if adapter.vlan else ""
    if adapter.network:
        return f"network {adapter.network.lower()}{vlan}"
    if adapter.switch:
        switch = adapter.switch.lower()
        return f"switch {site.segments.get(switch, switch)}{vlan}"
    return ANYWHERE


def survey(inventory: Inventory) -> Survey:
    """Read it. Raises InvalidInventory."""
    return _Reader().read(inventory)


class _Reader:
    """Reads on after a fault, so that all are told at once."""

    def __init__(self) -> None:
        self._faults: list[tuple[str, str]] = []
        self._found = Survey()
        self._packed: dict[str, bytes] = {}
        """Texts of IP addresses as read: those of a machine stand in its checkpoints again."""

    def read(self, inventory: Inventory) -> Survey:
        found = self._found
        for at, host in enumerate(inventory.hosts):
            self._host(host, f"hosts[{at}]")
        for at, machine in enumerate(inventory.machines):
            self._machine(machine, f"machines[{at}]")
        for at, pool in enumerate(inventory.mac_pools):
            bounds = self._bounds(pool, f"macPools[{at}]")
            found.pools += [] if bounds is None else [(pool.name, bounds)]
        if self._faults:
            raise InvalidInventory(self._faults)
        found.ranges = Ranges((site.bounds, site) for site in found.sites.values() if site.bounds is not None)
        found.pool_ranges = Ranges((bounds, name) for name, bounds in found.pools)
        return found

    def _host(self, host: Host, place: str) -> None:
        if host.name.lower() in self._found.sites:
            self._faults.append((f"{place}.name", f"'{host.name}' is there twice; give all of a host in one place"))
            return
        said = host.dynamic_mac_range or DynamicMacRange()
        bounds = self._bounds(said, f"{place}.dynamicMacRange") if said != DynamicMacRange() else None
        cursor = self._mac(said.cursor, f"{place}.dynamicMacRange.cursor") if said.cursor else 0
        self._found.sites[host.name.lower()] = Site(
            host.name,
            host.type.lower(),
            host.cluster.lower(),
            bounds,
            cursor if bounds is not None and bounds[0] <= cursor <= bounds[1] else None,
            self._ips(host.addresses, f"{place}.addresses"),
            {switch.name.lower(): (switch.segment or switch.name).lower() for switch in host.switches},
            managed_by=host.managed_by.lower(),
        )

    def _machine(self, machine: Machine, place: str) -> None:
        site = self._found.site(machine.host)
        site.machines += 1
        # a replica has its primary's id, but is a copy of its own
        identity = f"{machine.id.lower() or place}{' replica' if machine.is_replica else ''}"
        guest = Guest(machine.name, site, machine, machine.power.lower() == "running", identity)
        self._found.guests.append(guest)
        for at, adapter in enumerate(machine.interfaces):
            nic = self._nic(guest, adapter, f"{place}.interfaces[{at}]")
            self._found.nics.append(nic)
            guest.nics.append(nic)
            if nic.mac:
                self._found.by_mac.setdefault(nic.mac, []).append(nic)
        for at, checkpoint in enumerate(machine.checkpoints):
            self._found.checkpoints += 1
            for number, adapter in enumerate(checkpoint.interfaces):
                nic = self._nic(guest, adapter, f"{place}.checkpoints[{at}].interfaces[{number}]")
                nic.checkpoint = checkpoint.name
                self._found.captured += [nic] if nic.mac else []

    def _nic(self, guest: Guest, adapter: Adapter, place: str) -> Nic:
        mac = self._mac(adapter.mac, f"{place}.mac") if adapter.mac else 0
        ips = self._ips(adapter.ip_addresses, f"{place}.ipAddresses") if adapter.ip_addresses else ()
        return Nic(guest, adapter, mac, adapter.mode.lower() == "dynamic", domain_of(guest.site, adapter), ips)

    def _mac(self, text: str, place: str) -> int:
        try:
            return parse_mac(text.strip())
        except InvalidMacAddress as fault:
            self._faults.append((place, fault.message))
            return 0

    def _ips(self, texts: tuple[str, ...], place: str) -> tuple[bytes, ...]:
        """Packed; a prefix length or an interface's zone behind an address is left out."""
        found: list[bytes] = []
        for at, text in enumerate(texts):
            packed = self._packed.get(text)
            if packed is None:
                try:
                    packed = pack_ip(text.partition("/")[0].partition("%")[0].strip())
                except ValueError:
                    self._faults.append((f"{place}[{at}]", f"'{text}' is no IP address; write one such as 10.1.1.12"))
                    continue
                self._packed[text] = packed
            found.append(packed)
        return tuple(found)

    def _bounds(self, said: DynamicMacRange | AddressPool, place: str) -> Bounds | None:
        first, last = self._mac(said.first, f"{place}.first"), self._mac(said.last, f"{place}.last")
        if last < first:
            text = f"{mac_dashes(last)} is below {mac_dashes(first)}; write the lower one first"
            self._faults.append((f"{place}.last", text))
        return (first, last) if last else None
