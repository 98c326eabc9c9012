"""A Hyper-V host as it gives dynamic MAC addresses, with its machines: the rules that go wrong in a cluster, as they
are.

Used by sim.old_cluster and, as the behaviour of a host, by whoever needs one. Rules marked [?] are not documented by
their maker; what was chosen is said there. Not safe for threads. A refused start changes nothing.
"""

import copy

import msgspec

from weft.model.errors import Conflict, InvalidMacAddress
from weft.model.values import GROUP_BIT, Mac, mac_dashes
from weft.sim.address_range import AddressRange, default_bounds

OFF, RUNNING, SAVED = "Off", "Running", "Saved"


class StartFailed(Conflict):
    """The host could not start a machine; the text is that of the hypervisor."""

    def __init__(self, machine: str, adapter: str) -> None:
        super().__init__(
            f"The application encountered an error while attempting to change the state of '{machine}'. "
            f"Synthetic Ethernet Port (Instance ID {adapter}): Failed to power on with Error 'Attempt to access "
            "invalid address'."
        )


class Adapter:
    """A virtual network adapter. `mac` 0 is shown as 000000000000: none assigned yet."""

    def __init__(self, name: str, mac: int = 0, *, dynamic: bool = True) -> None:
        self.name = name
        self.mac = Mac(mac)
        self.dynamic = dynamic
        self.assigned = mac != 0
        """Whether a host has given it, or a person has set it; a clone may only show its source's address."""
        self.port = ""
        """Of the virtual switch, as its events call it; empty: the machine's and the adapter's names."""
        self.cut_off = False
        """Its address changed, or met another on one switch, while the machine ran: no packets until it is powered on
        again.
        """


class Machine:
    """Adapters, power, checkpoints. Belongs to one host at a time."""

    def __init__(self, name: str, adapters: tuple[Adapter, ...]) -> None:
        self.name = name
        self.adapters = adapters
        self.power = OFF
        self.checkpoints: dict[str, Checkpoint] = {}

    @property
    def key(self) -> str:
        """What a host knows it by. Names are enough for a cluster that never gives one twice."""
        return self.name

    def checkpoint(self, name: str) -> None:
        """Captures the adapters with their addresses, and the power."""
        self.checkpoints[name] = Checkpoint(_copies(self.adapters), self.power)

    def blank(self, checkpoint: str) -> None:
        """The workaround: -DynamicMacAddress on the adapters inside a checkpoint, so that it holds no address."""
        old = self.checkpoints[checkpoint]
        self.checkpoints[checkpoint] = Checkpoint(tuple(Adapter(each.name) for each in old.adapters), old.power)

    def export(self) -> "Export":
        """Files that hold the machine as it is."""
        return Export(self.name, _copies(self.adapters))


class Checkpoint(msgspec.Struct, frozen=True):
    """Adapters and power as they were. Adapters are copies that nobody else holds."""

    adapters: tuple[Adapter, ...]
    power: str


class Export(msgspec.Struct, frozen=True):
    """An exported machine."""

    name: str
    adapters: tuple[Adapter, ...]

    def machine(self, name: str = "") -> Machine:
        """To import: registered or restored under its own name, or a copy with a new id under another. The recorded
        address comes along, static or dynamic [?]; a dynamic one is drawn again at power-on by the rules of a host.
        """
        machine = Machine(name or self.name, _copies(self.adapters))
        for adapter in machine.adapters:
            adapter.cut_off = False
        return machine


class SwitchEvent(msgspec.Struct, frozen=True):
    """Warning 28 of the virtual switch: one of two ports with one address loses its network."""

    mac: Mac
    port: str
    pinned_to: str
    id: int = 28

    @property
    def message(self) -> str:
        return (
            f"Port '{self.port}' was prevented from using MAC address '{mac_dashes(self.mac)}' because it is pinned to "
            f"port '{self.pinned_to}'."
        )


class Host:
    """One host with the Hyper-V role: its first IPv4 address, its range of addresses, its machines, its switch's
    events.
    """

    def __init__(self, name: str, ipv4: str) -> None:
        self.name = name
        self.ipv4 = ipv4
        """May change; the range does not follow."""
        self.machines: dict[str, Machine] = {}
        self.events: list[SwitchEvent] = []
        self._range: AddressRange | None = None
        self._ports: dict[int, list[str]] = {}

    # -- the range

    @property
    def range(self) -> AddressRange:
        """Made when first needed, from the address that the host has then; kept from then on."""
        if self._range is None:
            self._range = AddressRange(*default_bounds(self.ipv4))
        return self._range

    def set_range(self, first: Mac, last: Mac) -> None:
        """Set-VMHost -MacAddressMinimum -MacAddressMaximum. Addresses already given stay as they are."""
        self._range = self.range.moved_to(first, last)

    def image(self, name: str, ipv4: str) -> "Host":
        """Another host from a picture of this one's disk: bounds and cursor are in the registry, so they come along."""
        twin = Host(name, ipv4)
        if self._range is not None:
            twin._range = AddressRange(self._range.first, self._range.last)
            twin._range.cursor = self._range.cursor
        return twin

    def sysprep(self) -> None:
        """Generalising an image resets much, but not the range."""

    def forget_range(self) -> None:
        """The remedy: delete the registry values; they are made anew from the address that the host has now."""
        self._range = self.range.moved_to(*default_bounds(self.ipv4))

    # -- machines

    def add(self, machine: Machine) -> None:
        """A new machine, an import, or one that arrives from another host: it keeps what its adapters have."""
        self.machines[machine.key] = machine
        for adapter in machine.adapters:
            self._take_in(machine, adapter)

    def remove(self, machine: Machine) -> None:
        """Deleted, or gone to another host: from now on this host knows nothing of its addresses."""
        for adapter in machine.adapters:
            self._let_go(machine, adapter)
        del self.machines[machine.key]

    def start(self, machine: Machine) -> None:
        """Power on. A dynamic address is drawn at the first start, and again where the old one is outside this host's
        range or used by another machine of this host, running or not ([?] whether one that is off counts). Raises
        StartFailed, and then [?] no adapter has changed.
        """
        if machine.power == RUNNING:
            return
        if machine.power == SAVED:
            self._resume(machine)
            return
        self._power_on(machine, [each for each in machine.adapters if self._must_draw(each)])

    def stop(self, machine: Machine, power: str = OFF) -> None:
        """Turn off or save; the addresses stay."""
        if machine.power == RUNNING:
            self._set_power(machine, power)

    def reset(self, machine: Machine) -> None:
        """A reboot from inside the guest is no power-on: nothing is drawn."""

    def live_migrate(self, machine: Machine, destination: "Host") -> None:
        """The machine keeps its address, so that nobody notices; its power is as it was."""
        self.remove(machine)
        destination.add(machine)

    def set_static(self, machine: Machine, adapter: Adapter, mac: Mac) -> None:
        """Set-VMNetworkAdapter -StaticMacAddress; never changed by a host from then on. Raises InvalidMacAddress."""
        if mac == 0 or mac & GROUP_BIT:
            raise InvalidMacAddress(mac_dashes(mac), "Failed to modify device 'Synthetic Ethernet Port'")
        self._change(machine, adapter, mac, dynamic=False)

    def set_dynamic(self, machine: Machine, adapter: Adapter) -> None:
        """Set-VMNetworkAdapter -DynamicMacAddress: zeros until the next power-on."""
        self._change(machine, adapter, Mac(0), dynamic=True)

    def apply(self, machine: Machine, name: str) -> None:
        """Back to a checkpoint: its addresses are the machine's again, whoever has them elsewhere by now.

        One taken while the machine ran resumes it, so only what another machine of this host uses is drawn again. From
        a blanked one an address is drawn in a system that runs already, which then has no network until the next
        power-on.
        """
        taken = machine.checkpoints[name]
        self.stop(machine)
        for adapter in machine.adapters:
            self._let_go(machine, adapter)
        machine.adapters = _copies(taken.adapters)
        for adapter in machine.adapters:
            self._take_in(machine, adapter)
        if taken.power != RUNNING:
            machine.power = taken.power
            return
        blanked = [each for each in machine.adapters if each.dynamic and not each.assigned]
        self._resume(machine)
        for adapter in blanked:
            adapter.cut_off = True

    def note(self, event: SwitchEvent) -> None:
        """The virtual switch has something to say."""
        self.events.append(event)

    # -- the rules

    def _resume(self, machine: Machine) -> None:
        """From saved state: drawn again only where another machine of the host uses the address. Raises StartFailed."""
        self._power_on(machine, [each for each in machine.adapters if self._is_taken(each)])

    def _must_draw(self, adapter: Adapter) -> bool:
        if not adapter.dynamic:
            return False
        return not adapter.assigned or adapter.mac not in self.range or self._is_taken(adapter)

    def _is_taken(self, adapter: Adapter) -> bool:
        return adapter.dynamic and (not adapter.assigned or self.range.users(adapter.mac) > 1)

    def _power_on(self, machine: Machine, drawn: list[Adapter]) -> None:
        macs: list[tuple[Adapter, Mac]] = []
        for adapter in drawn:
            mac = self._draw(machine)
            if mac is None:
                self._undo(machine, macs)
                raise StartFailed(machine.name, adapter.name)
            macs.append((adapter, adapter.mac if adapter.assigned else Mac(0)))
            self._change(machine, adapter, mac, dynamic=True)
        for adapter in machine.adapters:
            adapter.cut_off = False
        self._set_power(machine, RUNNING)

    def _undo(self, machine: Machine, macs: list[tuple[Adapter, Mac]]) -> None:
        for adapter, mac in macs:
            self._change(machine, adapter, mac, dynamic=True)

    def _draw(self, machine: Machine) -> Mac | None:
        """The next address that no machine of this host uses; with none left, one of another machine that is off (a
        theft).
        """
        found = self.range.next_unused()
        if found is not None:
            return found
        own = [adapter.mac for adapter in machine.adapters]
        tries = (self.range.next_not_running() for _ in range(len(own) + 1))
        return next((mac for mac in tries if mac not in own), None)

    def _set_power(self, machine: Machine, power: str) -> None:
        for adapter in machine.adapters:
            self._let_go(machine, adapter)
        machine.power = power
        for adapter in machine.adapters:
            self._take_in(machine, adapter)

    def _change(self, machine: Machine, adapter: Adapter, mac: Mac, *, dynamic: bool) -> None:
        self._let_go(machine, adapter)
        adapter.mac, adapter.dynamic, adapter.assigned = mac, dynamic, mac != 0
        self._take_in(machine, adapter)

    def _take_in(self, machine: Machine, adapter: Adapter) -> None:
        if adapter.assigned:
            self.range.use(adapter.mac)
        if adapter.assigned and machine.power == RUNNING:
            self.range.run(adapter.mac)
            self._plug_in(machine, adapter)

    def _let_go(self, machine: Machine, adapter: Adapter) -> None:
        if not adapter.assigned:
            return
        self.range.leave(adapter.mac)
        if machine.power == RUNNING:
            self.range.rest(adapter.mac)
            ports = self._ports[adapter.mac]
            ports.remove(_port(machine, adapter))
            if not ports:
                del self._ports[adapter.mac]

    def _plug_in(self, machine: Machine, adapter: Adapter) -> None:
        ports = self._ports.setdefault(adapter.mac, [])
        if ports:
            adapter.cut_off = True
            self.note(SwitchEvent(adapter.mac, _port(machine, adapter), ports[0]))
        ports.append(_port(machine, adapter))


def _port(machine: Machine, adapter: Adapter) -> str:
    return adapter.port or f"{machine.name}/{adapter.name}"


def _copies(adapters: tuple[Adapter, ...]) -> tuple[Adapter, ...]:
    return tuple(copy.copy(each) for each in adapters)
