"""The lab's hypervisor, as the agent of one host sees it: machines are namespace guests. See weft.agent.hypervisors.

Made by `open_hypervisor` in the agent's process. Every verb is idempotent and works from the guests' files, so that it
can be repeated after a crash at any line. Guests are shared by the drivers of all hosts of the lab: a move is one swap
of a redirect, done by the source's driver, and the destination's driver sees it in the guest's file.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from weft.agent.hypervisors import (
    HypervisorFailure,
    MachineState,
    Migrate,
    Prepare,
    Remove,
    Start,
    Stop,
    Verb,
)
from weft.lab import names, namespaces, plugs
from weft.lab.commands import PATH
from weft.lab.guests import Guest, GuestFiles, GuestPort
from weft.lab.namespaces import NETNS
from weft.lab.state import HostState, LabFolder
from weft.model.errors import WeftError
from weft.model.records import PortBinding
from weft.model.values import mac_colons

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
        self._space = names.namespace(lab.name, host.name)
        self._database = f"unix:{lab.rundir(host)}/db.sock"
        self._guests = GuestFiles(lab.guests)

    async def facts(self) -> tuple[MachineState, ...]:
        """The machines that have ports here; those that run on another host are Off here."""
        return tuple(
            MachineState(guest.machine, "Running" if self._runs_here(guest) else "Off")
            for guest in self._guests.all()
            if self._host.name in guest.legs
        )

    async def events(self) -> AsyncIterator[None]:
        """A look at the folder's time every 20 ms: cheap, and it sees what other hosts' drivers did."""
        seen = self._guests.version()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                now = self._guests.version()
            except FileNotFoundError:  # the lab is going down
                return
            if now != seen:
                seen = now
                yield None

    async def carry_out(self, verb: Verb) -> None:
        machine = verb.machine if isinstance(verb.machine, str) else verb.machine.machine
        try:
            async with self._guests.lock(machine):
                match verb:
                    case Start():
                        await self._start(verb)
                    case Prepare():
                        await self._prepare(machine, verb.ports)
                    case Stop():
                        await self._stop(machine)
                    case Migrate():
                        await self._migrate(verb)
                    case Remove():
                        await self._remove(machine)
        except (WeftError, OSError) as error:
            raise HypervisorFailure(f"{type(verb).__name__} {machine} on {self._host.name}: {error}") from error

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
        there = await self._links()
        await self._ip(self._plugs, plugs.guest_lines(guest, there, start.mtu))
        await self._ip(guest.namespace, plugs.stack_lines(start))
        for number in range(len(guest.ports)):
            eth = ["ethtool", "-K", f"eth{number}", "tx", "off"]  # a userspace switch sends on what it gets
            await self._run(["nsenter", f"--net={NETNS / guest.namespace}", "--", *eth])
        for host in guest.legs:
            await self._connect(guest, self._lab.host(host))
        await self._switch_to(guest, self._host)
        self._guests.write(msgspec.structs.replace(guest, host=self._host.name, running=True))

    async def _boot(self, guest: Guest) -> None:
        """The empty namespace, marked as the lab's."""
        await self._run(namespaces.making(self._lab.name, guest.namespace, GUEST_SETTINGS))

    async def _prepare(self, machine: str, ports: Sequence[PortBinding]) -> Guest:
        """The guest's file and its legs to this host, plugged into br-int."""
        guest = self._guests.read(machine)
        if guest is None:
            space = names.namespace(self._lab.name, machine)
            if namespaces.exists(space):
                raise HypervisorFailure(f"{machine}: a namespace '{space}' is there that is no guest of this lab")
            guest = await self._guests.create(machine, space)
        wanted = tuple(GuestPort(binding.instance_id, binding.mac) for binding in ports)
        if guest.ports != wanted:
            await self._unplug_changed(guest, wanted)
        legs = guest.legs if self._host.name in guest.legs else (*guest.legs, self._host.name)
        if (legs, wanted) != (guest.legs, guest.ports):
            guest = msgspec.structs.replace(guest, legs=legs, ports=wanted)
            self._guests.write(guest)
        there = await self._links()
        await self._ip(self._plugs, plugs.leg_lines(guest, self._host.number, self._space, there))
        await self._plug_in(guest)
        if guest.running and names.guest_plug(guest.number, 0) in there:
            await self._connect(guest, self._host)
        return guest

    async def _unplug_changed(self, guest: Guest, wanted: Sequence[GuestPort]) -> None:
        """Cables of interfaces that are no longer the guest's n-th: deleted, to be made anew."""
        there = await self._links()
        lines = [
            f"link del dev {names.guest_plug(guest.number, number)}"
            for number, port in enumerate(guest.ports)
            if (number >= len(wanted) or wanted[number] != port) and names.guest_plug(guest.number, number) in there
        ]
        await self._ip(self._plugs, lines)

    async def _plug_in(self, guest: Guest) -> None:
        """Ports of br-int, with what the agent knows them by, and our mark."""
        words: list[str] = []
        for number, port in enumerate(guest.ports):
            name = names.leg_port(guest.number, number)
            await self._ip(self._space, [f"link set dev {name} arp off up"])
            words += ["--", "--may-exist", "add-port", names.INTEGRATION_BRIDGE, name]
            words += ["--", "set", "interface", name, f"external_ids:iface-id={port.instance_id}"]
            words += [f'external_ids:attached-mac="{mac_colons(port.mac)}"', "external_ids:iface-status=active"]
            words += [f"external_ids:vm-id={guest.machine}", f"external_ids:weft-lab={self._lab.name}"]
        if words:
            await self._run(["ovs-vsctl", f"--db={self._database}", "--timeout=10", *words])

    async def _connect(self, guest: Guest, host: HostState) -> None:
        """What comes from a host's leg goes to the guest."""
        lines = []
        for number in range(len(guest.ports)):
            leg, plug = names.leg_plug(guest.number, number, host.number), names.guest_plug(guest.number, number)
            if [redirect.device for redirect in await self._redirects(leg)] != [plug]:
                lines += plugs.arrival_lines(leg, plug)
        if lines:  # -force: deleting the filters of a new leg finds none
            await self._run(["tc", "-n", self._plugs, "-force", "-batch", "-"], lines, check=False)

    async def _switch_to(self, guest: Guest, host: HostState) -> None:
        """What the guest sends goes to this host: the move itself."""
        lines = []
        for number in range(len(guest.ports)):
            plug, leg = names.guest_plug(guest.number, number), names.leg_plug(guest.number, number, host.number)
            present = await self._redirects(plug)
            if not present:
                lines.append(f"qdisc replace dev {plug} clsact")
            lines += plugs.departure_lines(plug, leg, present)
        if lines:
            await self._run(["tc", "-n", self._plugs, "-batch", "-"], lines)

    async def _stop(self, machine: str) -> None:
        """The guest's cables first, which silences it at once; then its processes and namespace."""
        guest = self._guests.read(machine)
        if guest is None or guest.host != self._host.name:
            return
        self._guests.write(msgspec.structs.replace(guest, running=False))
        await self._halt(guest)

    async def _halt(self, guest: Guest) -> None:
        there = await self._links()
        cables = [names.guest_plug(guest.number, number) for number in range(len(guest.ports))]
        await self._ip(self._plugs, [f"link del dev {cable}" for cable in cables if cable in there])
        if self._is_up(guest):
            pids = await self._run(["ip", "netns", "pids", guest.namespace], check=False)
            for pid in pids.split():
                await self._run(["kill", "-9", pid], check=False)
            await self._run(["ip", "netns", "del", guest.namespace])

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
        legs = tuple(host for host in guest.legs if host != self._host.name)
        if guest.host == self._host.name or not legs:
            await self._halt(guest)
            guest = msgspec.structs.replace(guest, host="", running=False)
        there = await self._links()
        words: list[str] = []
        for number in range(len(guest.ports)):
            words += ["--", "--if-exists", "del-port", names.INTEGRATION_BRIDGE, names.leg_port(guest.number, number)]
        if words:
            await self._run(["ovs-vsctl", f"--db={self._database}", "--timeout=10", *words])
        gone = [names.leg_plug(guest.number, number, self._host.number) for number in range(len(guest.ports))]
        await self._ip(self._plugs, [f"link del dev {leg}" for leg in gone if leg in there])
        if legs:
            self._guests.write(msgspec.structs.replace(guest, legs=legs))
        else:
            self._guests.delete(machine)

    async def _links(self) -> set[str]:
        """Of the plug namespace."""
        shown = await self._run(["ip", "-n", self._plugs, "-o", "link", "show"])
        return {line.split(": ")[1].partition("@")[0] for line in shown.splitlines()}

    async def _redirects(self, device: str) -> list[plugs.Redirect]:
        shown = await self._run(
            ["tc", "-n", self._plugs, "-j", "filter", "show", "dev", device, "ingress"], check=False
        )
        return plugs.redirects(shown)

    async def _ip(self, space: str, lines: Sequence[str]) -> None:
        if lines:
            await self._run(["ip", "-n", space, "-batch", "-"], lines)

    async def _run(self, command: Sequence[str], lines: Sequence[str] = (), *, check: bool = True) -> str:
        """Run to its end; its output. Raises HypervisorFailure with its last words."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if lines else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PATH": PATH},
        )
        text = "".join(f"{line}\n" for line in lines).encode() if lines else None
        output, errors = await process.communicate(text)
        if check and process.returncode != 0:
            words = errors.decode(errors="replace").strip().splitlines()[-3:]
            raise HypervisorFailure(f"{' '.join(command)}: {' / '.join(words) or process.returncode}")
        return output.decode(errors="replace")
