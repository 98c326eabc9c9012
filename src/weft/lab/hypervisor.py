"""The lab's hypervisor, as the agent of one host sees it: machines are namespace guests. See weft.agent.hypervisors.

Made by `open_hypervisor` in the agent's process. Every verb is idempotent and works from the guests' files, so that it
can be repeated after a crash at any line. Guests are shared by the drivers of all hosts of the lab: a move is one swap
of a redirect, done by the source's driver, and the destination's driver sees it in the guest's file.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from weft.agent.hypervisors import (
    HypervisorFailure,
    Migrate,
    Prepare,
    Remove,
    SetMacs,
    Start,
    Stop,
    Verb,
    subject,
)
from weft.lab import names, namespaces, plugs
from weft.lab.dhcp_clients import ensure_clients
from weft.lab.guests import Guest, GuestFiles, GuestPort
from weft.lab.legs import Legs
from weft.lab.namespaces import NETNS
from weft.lab.running import ip, links, run
from weft.lab.state import HostState, LabFolder
from weft.model.errors import WeftError
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.model.records import PortBinding
from weft.model.values import InstanceId

WATCH_SECONDS = 0.02
"""How often the guests' folder is looked at for changes that another host's driver made."""

GUEST_SETTINGS: dict[str, str | int] = {
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv4.conf.all.accept_redirects": 0,
}
"""The address is granted: no doubt about it, and nobody on the wire tells the guest its routes."""


def open_hypervisor(folder: str, server: str) -> "LabHypervisor":
    """What `weft agent --hypervisor lab:FOLDER --server SERVER` uses. Raises NotFound if the lab has no such host."""
    lab = LabFolder(Path(folder))
    return LabHypervisor(lab, lab.host(server))


class LabHypervisor:
    """Driver for one host of the lab."""

    def __init__(self, lab: LabFolder, host: HostState) -> None:
        self._lab = lab
        self._host = host
        self._plugs = names.plug_namespace(lab.name)
        self._guests = GuestFiles(lab.guests)
        self._legs = Legs(lab, host, self._guests)

    async def facts(self) -> HypervisorState:
        """The machines that have ports here; those that run on another host are Off here."""
        return HypervisorState(
            tuple(self._state_of(guest) for guest in self._guests.all() if self._host.name in guest.legs)
        )

    def _state_of(self, guest: Guest) -> MachineState:
        runs = self._runs_here(guest)
        return MachineState(
            guest.machine,
            "Running" if runs else "Off",
            guest.mtu if runs else 0,
            id=guest.machine,
            name=guest.namespace,
            adapters=tuple(AdapterState(port.mac, InstanceId(port.instance_id)) for port in guest.ports),
        )

    async def events(self) -> AsyncIterator[None]:
        """A look at two folders' times every 20 ms: cheap, and it sees what other hosts' drivers did, and guests whose
        namespace another hand deleted."""
        seen = self._seen()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                now = self._seen()
            except FileNotFoundError:  # the lab is going down
                return
            if now != seen:
                seen = now
                yield None

    def _seen(self) -> tuple[int, int]:
        return self._guests.version(), namespaces.version()

    async def carry_out(self, verb: Verb) -> None:
        machine = subject(verb)
        try:
            async with self._guests.lock(machine):
                match verb:
                    case Start():
                        await self._start(verb)
                    case Prepare() | SetMacs():
                        await self._prepare(machine, verb.ports)
                    case Stop():
                        await self._stop(machine)
                    case Migrate():
                        await self._migrate(verb)
                    case Remove():
                        await self._remove(machine)
                    case _:
                        raise HypervisorFailure(f"{type(verb).__name__} {machine}: the lab's guests have no such thing")
        except (WeftError, OSError) as error:
            raise HypervisorFailure(f"{type(verb).__name__} {machine} on {self._host.name}: {error}") from error

    async def forget(self, machine: str) -> None:
        """Another hand deletes the machine here: nobody asked for it, and what it had is gone. For tests."""
        async with self._guests.lock(machine):
            await self._remove(machine)

    def _is_up(self, guest: Guest) -> bool:
        return namespaces.exists(guest.namespace)

    def _runs_here(self, guest: Guest) -> bool:
        return guest.running and guest.host == self._host.name and self._is_up(guest)

    async def _start(self, start: Start) -> None:
        guest = self._guests.read(start.machine.machine)
        if guest is not None and guest.running and guest.host != self._host.name and self._is_up(guest):
            raise HypervisorFailure(f"{guest.machine} already runs on {guest.host}")
        guest = await self._prepare(start.machine.machine, start.ports)
        if not self._is_up(guest):
            await self._boot(guest)
        there = await links(self._plugs)
        await ip(self._plugs, plugs.guest_lines(guest, there, start.mtu))
        asks = guest.machine.lower() in self._lab.read().dhcp
        await ip(guest.namespace, [] if asks else plugs.stack_lines(start))
        for number in range(len(guest.ports)):
            eth = ["ethtool", "-K", f"eth{number}", "tx", "off"]  # a userspace switch sends on what it gets
            await run(["nsenter", f"--net={NETNS / guest.namespace}", "--", *eth])
        for host in guest.legs:
            await self._connect(guest, self._lab.host(host))
        await self._switch_to(guest, self._host)
        if asks:
            await ensure_clients(guest.namespace, self._lab.dhcp_folder(guest.number), start.ports)
        self._guests.write(msgspec.structs.replace(guest, host=self._host.name, running=True, mtu=start.mtu))

    async def _boot(self, guest: Guest) -> None:
        """The empty namespace, marked as the lab's."""
        await run(namespaces.making(self._lab.name, guest.namespace, GUEST_SETTINGS))

    async def _prepare(self, machine: str, ports: Sequence[PortBinding]) -> Guest:
        """The guest's file and its legs to this host, plugged into br-int."""
        guest = self._guests.read(machine)
        if guest is None:
            space = names.namespace(self._lab.name, machine)
            if namespaces.exists(space):
                raise HypervisorFailure(f"{machine}: a namespace '{space}' is there that is no guest of this lab")
            guest = await self._guests.create(machine, space)
        wanted = tuple(GuestPort(binding.instance_id, binding.mac) for binding in ports)
        there = await links(self._plugs)
        if guest.ports != wanted:
            await ip(self._plugs, plugs.changed_lines(guest, wanted, there))
        guest = await self._legs.give(guest, wanted)
        if guest.running and names.guest_plug(guest.number, 0) in there:
            await self._connect(guest, self._host)
        return guest

    async def _connect(self, guest: Guest, host: HostState) -> None:
        """What comes from a host's leg goes to the guest."""
        lines = []
        for number, slot in enumerate(guest.legs[host.name]):
            leg, plug = names.leg_plug(host.number, slot), names.guest_plug(guest.number, number)
            if [redirect.device for redirect in await self._redirects(leg)] != [plug]:
                lines += plugs.arrival_lines(leg, plug)
        if lines:  # -force: deleting the filters of a new leg finds none
            await run(["tc", "-n", self._plugs, "-force", "-batch", "-"], lines, check=False)

    async def _switch_to(self, guest: Guest, host: HostState) -> None:
        """What the guest sends goes to this host: the move itself."""
        lines = []
        for number, slot in enumerate(guest.legs[host.name]):
            plug, leg = names.guest_plug(guest.number, number), names.leg_plug(host.number, slot)
            present = await self._redirects(plug)
            if not present:
                lines.append(f"qdisc replace dev {plug} clsact")
            lines += plugs.departure_lines(plug, leg, present)
        if lines:
            await run(["tc", "-n", self._plugs, "-batch", "-"], lines)

    async def _stop(self, machine: str) -> None:
        """The guest's cables first, which silences it at once; then its processes and namespace."""
        guest = self._guests.read(machine)
        if guest is None or guest.host != self._host.name:
            return
        self._guests.write(msgspec.structs.replace(guest, running=False))
        await self._halt(guest)

    async def _halt(self, guest: Guest) -> None:
        there = await links(self._plugs)
        cables = [names.guest_plug(guest.number, number) for number in range(len(guest.ports))]
        await ip(self._plugs, [f"link del dev {cable}" for cable in cables if cable in there])
        if self._is_up(guest):
            pids = await run(["ip", "netns", "pids", guest.namespace], check=False)
            for pid in pids.split():
                await run(["kill", "-9", pid], check=False)
            await run(["ip", "netns", "del", guest.namespace])

    async def _migrate(self, verb: Migrate) -> None:
        guest = self._guests.read(verb.machine)
        destination = self._lab.host(verb.server)
        if guest is not None and guest.running and guest.host == destination.name:
            return
        if guest is None or not self._runs_here(guest):
            raise HypervisorFailure(f"{verb.machine} does not run on {self._host.name}")
        if destination.name not in guest.legs:
            raise HypervisorFailure(f"{destination.name} is not prepared for {verb.machine}")
        await self._connect(guest, destination)
        await self._switch_to(guest, destination)
        self._guests.write(msgspec.structs.replace(guest, host=destination.name))

    async def _remove(self, machine: str) -> None:
        guest = self._guests.read(machine)
        if guest is None or self._host.name not in guest.legs:
            return
        if guest.host == self._host.name or len(guest.legs) == 1:
            await self._halt(guest)
            guest = msgspec.structs.replace(guest, host="", running=False)
        guest = await self._legs.take_back(guest)
        if guest.legs:
            self._guests.write(guest)
        else:
            self._guests.delete(machine)

    async def _redirects(self, device: str) -> list[plugs.Redirect]:
        shown = await run(["tc", "-n", self._plugs, "-j", "filter", "show", "dev", device, "ingress"], check=False)
        return plugs.redirects(shown)
