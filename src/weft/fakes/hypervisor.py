"""The hypervisor of a fake host: does what verbs ask to the guests of its datacenter.

Implements agent.hypervisors.Hypervisor; held to the real ones by the contract suite. Made by fakes/datacenter.py.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from weft.agent.hypervisors import (
    Announce,
    CarryOut,
    Define,
    Disconnect,
    HypervisorFailure,
    Migrate,
    Prepare,
    Reconnect,
    Remove,
    Save,
    SetMacs,
    Start,
    Stop,
    Verb,
)
from weft.fakes.cables import Cables
from weft.fakes.guest import Adapter, adapter_of
from weft.fakes.listeners import Listeners
from weft.fakes.machine import Guest
from weft.fakes.shelf import Checkpoint, Shelf, adapter_states, found, with_macs
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.records import Errand
from weft.model.values import Mac

ID_OF = "id-of-"
"""Before a machine's name: its hypervisor's id."""


class Shared(Protocol):
    """What the hypervisors of a datacenter have in common: see fakes/datacenter.py."""

    switches: dict[str, FakeSwitch]
    hypervisors: dict[str, "FakeHypervisor"]
    guests: dict[str, Guest]

    def guest(self, machine: str) -> Guest: ...

    def host_named(self, server: str) -> str: ...


class FakeHypervisor:
    """The hypervisor of one host. `failing` holds why a verb (or an errand), by its name in lower case, fails until
    taken out; `draws` are MAC addresses that adapters come to have whatever is asked for, while there are any."""

    def __init__(self, datacenter: Shared, host: str) -> None:
        self.host = host
        self.failing: dict[str, str] = {}
        self.draws: list[Mac] = []
        self.shelf = Shelf()
        self._cables = Cables()
        self.boot = ""
        """Empty: it tells no boots, and whatever differs from a record is made as that says."""
        self.dynamic_range: tuple[int, int] | None = None
        self.strangers: dict[str, MachineState] = {}
        """Machines that Weft did not make, by the hypervisor's id."""
        self.verb_seconds = 0.0
        self.disks_whole: asyncio.Event | None = None
        """Define is done when this is set; the machine is listed before. `failing["disks"]`: it is taken back."""
        self.carried_out: list[Verb] = []
        self._datacenter = datacenter
        self._listeners = Listeners()

    async def facts(self) -> HypervisorState:
        guests = (guest for guest in self._datacenter.guests.values() if self.host in guest.prepared)
        states = (*(self._state_of(guest) for guest in guests), *self.strangers.values())
        return HypervisorState(states, self.dynamic_range, boot=self.boot)

    def _state_of(self, guest: Guest) -> MachineState:
        power = "Running" if guest.host == self.host else "Saved" if guest.saved else "Off"
        return MachineState(
            guest.name,
            power,
            id=f"{ID_OF}{guest.name}",
            name=guest.name,
            adapters=adapter_states(guest.adapters, "" if guest.isolated else "br-int"),
            checkpoints=tuple(one.state for one in guest.checkpoints),
            isolated=guest.isolated,
            unfinished=guest.name in self.shelf.unfinished,
            mtu=guest.mtu,
        )

    async def carry_out(self, verb: Verb) -> None:
        name = type(verb).__name__.lower()
        if self.verb_seconds:
            await asyncio.sleep(self.verb_seconds)
        if name in self.failing:
            raise HypervisorFailure(f"{name} on {self.host}: {self.failing[name]}")
        self._do(verb)
        if isinstance(verb, Define) and self.disks_whole is not None:
            await self._make_whole(verb.machine.machine, self.disks_whole)
        self.carried_out.append(verb)
        self.changed()

    async def _make_whole(self, machine: str, whole: asyncio.Event) -> None:
        self.shelf.unfinished.add(machine)
        self.changed()
        await whole.wait()
        self.shelf.unfinished.discard(machine)
        if "disks" in self.failing:
            self._remove(machine)
            self.shelf.delete_disks(machine)
            raise HypervisorFailure(f"disks of {machine}: {self.failing['disks']}")

    def _do(self, verb: Verb) -> None:
        if isinstance(verb, Stop | Disconnect | Reconnect | SetMacs) and verb.id in self.strangers:
            self.strangers[verb.id] = self._cables.changed(self.strangers[verb.id], verb)
        elif isinstance(verb, Disconnect | Reconnect):
            guest = self._guest(verb.id.removeprefix(ID_OF))
            guest.isolated = isinstance(verb, Disconnect)
            for adapter in guest.adapters:
                if guest.isolated:
                    self._switch.unplug(adapter.name)
                else:
                    self._switch.plug(adapter.name, adapter.instance_id, adapter.mac)
        else:
            self._do_ours(verb)

    def _do_ours(self, verb: Verb) -> None:
        match verb:
            case Start():
                self._start(verb)
            case Define() | Save() | CarryOut():
                self._keep(verb)
            case Prepare() | SetMacs():
                self._prepare(verb.machine.machine, self._drawn(tuple(adapter_of(port, ()) for port in verb.ports)))
            case Migrate(machine, server):
                self._migrate(machine, server)
            case Stop(machine):
                self._stop(machine)
            case Remove(machine):
                self._remove(machine)
                if verb.with_files:
                    self.shelf.delete_disks(machine)
            case Announce():
                pass  # nobody is killed in its restores
            case _:
                raise HypervisorFailure(f"{type(verb).__name__} on {self.host}: a fake guest has no such thing")

    def _keep(self, verb: Define | Save | CarryOut) -> None:
        """What only a hypervisor that keeps machines can do."""
        if isinstance(verb, Define):
            self._define(verb)
        elif isinstance(verb, Save):
            self._save(verb.machine)
        else:
            self._carry_out(verb)

    def events(self) -> AsyncIterator[None]:
        return self._listeners.events()

    def changed(self) -> None:
        self._listeners.tell()

    async def forget(self, machine: str) -> None:
        """Another hand deletes the machine here: nobody asked for it, and what it had is gone."""
        self._remove(machine)
        self.changed()

    @property
    def _switch(self) -> FakeSwitch:
        return self._datacenter.switches[self.host]

    def _guest(self, machine: str) -> Guest:
        guest = self._datacenter.guests.get(machine)
        if guest is None or self.host not in guest.prepared:
            raise HypervisorFailure(f"{self.host} knows no machine {machine}")
        return guest

    def _prepare(self, machine: str, adapters: tuple[Adapter, ...]) -> Guest:
        """Plug the ports. A running machine keeps the stack that it has."""
        guest = self._datacenter.guest(machine)
        if not guest.host:
            self._unplug_all_but(guest, adapters)
            guest.adapters = adapters
        guest.prepared.add(self.host)
        for adapter in adapters:
            old = self._switch.port(adapter.name)
            if old is None or old.attached_mac != adapter.mac:
                self._switch.plug(adapter.name, adapter.instance_id, Mac(adapter.mac))
        return guest

    def _define(self, verb: Define) -> None:
        name = verb.machine.machine
        known = self._datacenter.guests.get(name)
        if known is not None and self.host in known.prepared:
            return
        if verb.machine.hardware is not None:
            self.shelf.make_disks(name, verb.machine.hardware)
        self._prepare(name, self._drawn(tuple(adapter_of(port, ()) for port in verb.ports)))

    def _drawn(self, adapters: tuple[Adapter, ...]) -> tuple[Adapter, ...]:
        """What comes of asking for adapters."""
        return with_macs(adapters, {one.instance_id: mac for one, mac in zip(adapters, self.draws, strict=False)})

    def _save(self, machine: str) -> None:
        guest = self._guest(machine)
        if guest.host == self.host:
            guest.host, guest.saved = "", True

    def _carry_out(self, verb: CarryOut) -> None:
        errand, guest = verb.machine.errand, self._guest(verb.machine.machine)
        assert errand is not None
        if errand.kind.lower() in self.failing:
            raise HypervisorFailure(f"{errand.kind} on {self.host}: {self.failing[errand.kind.lower()]}")
        if errand.kind == "checkpoint":
            own_id = f"{guest.name}-{errand.number}"
            guest.checkpoints.append(Checkpoint(own_id, errand.name, guest.adapters, guest.host == self.host))
        elif errand.kind == "export":
            guest.exports.append(errand.path)
        else:
            self._to_checkpoint(guest, errand)

    def _to_checkpoint(self, guest: Guest, errand: Errand) -> None:
        checkpoint = found(guest.checkpoints, errand)
        if errand.kind == "deleteCheckpoint":
            guest.checkpoints.remove(checkpoint)
        elif errand.kind == "rewriteCheckpoint":
            checkpoint.adapters = with_macs(checkpoint.adapters, dict(errand.macs))
        elif errand.kind == "restore":
            self._revert(guest, checkpoint)
        else:
            raise HypervisorFailure(f"{errand.kind} on {self.host}: a fake guest has no such thing")

    def _revert(self, guest: Guest, checkpoint: Checkpoint) -> None:
        """As it was, its adapters too; one of a running machine comes back saved."""
        self._stop(guest.name)
        self._prepare(guest.name, checkpoint.adapters)
        guest.saved = checkpoint.running

    async def revert(self, machine: str, checkpoint: str) -> None:
        """Another hand rolls the machine back: nobody asked for it."""
        guest = self._guest(machine)
        self._revert(guest, next(one for one in guest.checkpoints if one.name == checkpoint))
        self.changed()

    def _unplug_all_but(self, guest: Guest, wanted: tuple[Adapter, ...]) -> None:
        for adapter in guest.adapters:
            if adapter.name not in {one.name for one in wanted} and self.host in guest.prepared:
                self._switch.unplug(adapter.name)

    def _start(self, verb: Start) -> None:
        name = verb.machine.machine
        running = self._datacenter.guests.get(name)
        if running is not None and running.host not in ("", self.host):
            raise HypervisorFailure(f"{name} already runs on {running.host}")
        guest = self._prepare(name, tuple(adapter_of(port, verb.subnets) for port in verb.ports))
        guest.host, guest.saved, guest.isolated = self.host, False, False

    def _migrate(self, machine: str, server: str) -> None:
        guest = self._guest(machine)
        target = self._datacenter.host_named(server)
        if guest.host == target:
            return
        if guest.host != self.host:
            raise HypervisorFailure(f"{machine} does not run on {self.host}")
        if target not in guest.prepared:
            raise HypervisorFailure(f"{target} is not prepared for {machine}")
        guest.host = target
        self._datacenter.hypervisors[target].changed()

    def _stop(self, machine: str) -> None:
        guest = self._datacenter.guests.get(machine)
        if guest is not None and guest.host in ("", self.host):
            guest.host, guest.saved = "", False

    def _remove(self, machine: str) -> None:
        guest = self._datacenter.guests.get(machine)
        if guest is None or self.host not in guest.prepared:
            return
        self._stop(machine)
        guest.prepared.discard(self.host)
        for adapter in guest.adapters:
            self._switch.unplug(adapter.name)
        if not guest.prepared:
            del self._datacenter.guests[machine]
