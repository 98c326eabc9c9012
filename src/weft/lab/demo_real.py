"""The demo's stage of network namespaces: real packets through real Open vSwitch. Linux, root."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

from weft.agent.programs import PATH
from weft.lab import control, guest_script, names, pings, up
from weft.lab.capture import Tunnelled, frame, packets, tunnelled
from weft.lab.commands import within
from weft.lab.demo_stage import Identity, Lie, NotSo, Pings, Stage
from weft.lab.frames import echo_request
from weft.lab.guests import GuestFiles
from weft.lab.state import LabFolder
from weft.model.values import mac_colons, mac_dashes, pack_ip, parse_mac
from weft.wire.client import Client

SETTLE_SECONDS = 0.3
"""For the last packets to come through before a capture ends."""


async def output(command: Sequence[str], *, check: bool = True) -> str:
    """Run to its end. Raises NotSo with its last words."""
    process = await _begin(command, asyncio.subprocess.PIPE)
    try:
        out, errors = await process.communicate()
    except asyncio.CancelledError:
        _end(process)
        raise
    if check and process.returncode:
        raise NotSo(f"{' '.join(command)}: {errors.decode().strip()[-200:] or out.decode().strip()[-200:]}")
    return out.decode()


async def _begin(command: Sequence[str], stdout: int | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout if stdout is not None else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": PATH},
    )


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


class NamespaceGuests:
    """Guests and Strangers of the demo. Each machine gets a process that answers with its name."""

    def __init__(self, lab: LabFolder) -> None:
        self._lab = lab
        self._listening: dict[str, asyncio.subprocess.Process] = {}
        self._beginning = asyncio.Lock()

    def _inside(self, machine: str, command: Sequence[str]) -> list[str]:
        return within(up.running(self._lab, machine), command)

    def _script(self, machine: str, *words: str) -> list[str]:
        return self._inside(machine, [sys.executable, guest_script.__file__, *words])

    async def identity(self, machine: str) -> Identity:
        shown = await output(self._inside(machine, ["ip", "-o", "addr", "show", "dev", "eth0"]))
        link = await output(self._inside(machine, ["ip", "-o", "link", "show", "dev", "eth0"]))
        mac = re.search(r"link/ether ([0-9a-f:]+)", link)
        addresses = tuple(re.findall(r"inet6? ([0-9a-f.:]+)/", shown))
        return Identity(mac_dashes(parse_mac(mac[1])) if mac else "", addresses)

    async def ping(self, machine: str, address: str, count: int, interval: float) -> Pings:
        answers = pings.Answers(count)
        command = self._inside(machine, pings.command(address, count, interval))
        process = await _begin(command, asyncio.subprocess.PIPE)
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                answers.take(line.decode())
                if answers.complete:
                    break
        finally:
            _end(process)
            await process.communicate()
        return Pings(count, answers.received, tuple(answers.ttls))

    async def ask(self, machine: str, addresses: Sequence[str]) -> dict[str, str]:
        async with self._beginning:
            await self._everyone_listens()
        shown = await output(self._script(machine, "ask", machine, *addresses))
        found = dict(line.split(" ", 1) for line in shown.splitlines())
        return {address: found.get(address, "-").replace("-", "", 1) for address in addresses}

    async def heard(self, machine: str) -> set[str]:
        log = self._lab.log(f"asked-{machine}")
        return set(log.read_text().split()) if log.exists() else set()

    async def lie(self, lie: Lie) -> int:
        victim = await self.identity(lie.victim)
        target = next(address for address in victim.addresses if "." in address)
        octets = echo_request((parse_mac(lie.mac), parse_mac(victim.mac)), pack_ip(lie.address), pack_ip(target))
        async with captured(self._inside(lie.victim, []), "eth0", self._lab.path / "lie.pcap") as pcap:
            await output(self._script(lie.machine, "spoof", "eth0", octets.hex(), str(lie.count)))
        seen = [frame(octets) for octets in packets(pcap.read_bytes())]
        mine = [one for one in seen if one and (one.source_mac == lie.mac or one.source == lie.address)]
        return len([one for one in mine if one.destination_mac == victim.mac])

    async def _everyone_listens(self) -> None:
        begun = []
        for guest in GuestFiles(self._lab.guests).all():
            known = self._listening.get(guest.machine)
            if guest.running and (known is None or known.returncode is not None):
                log = str(self._lab.log(f"asked-{guest.machine}"))
                self._listening[guest.machine] = await _begin(self._script(guest.machine, "serve", guest.machine, log))
                begun.append(guest.machine)
        await asyncio.gather(*(self._bound(machine) for machine in begun))

    async def _bound(self, machine: str) -> None:
        """Until its listener has its port."""
        for _ in range(3000):
            shown = await output(self._inside(machine, ["cat", "/proc/net/udp"]), check=False)
            if f":{guest_script.PORT:04X} " in shown or self._listening[machine].returncode is not None:
                return
            await asyncio.sleep(0.01)
        raise NotSo(f"{machine}: its listener did not start")

    async def close(self) -> None:
        for process in self._listening.values():
            _end(process)
        await asyncio.gather(*(process.communicate() for process in self._listening.values()))


@contextlib.asynccontextmanager
async def captured(prefix: Sequence[str], device: str, file: Path) -> AsyncIterator[Path]:
    """tcpdump into a file for as long as the block lasts."""
    command = [*prefix, "tcpdump", "-Z", "root", "-n", "-U", "--immediate-mode", "-i", device, "-w", str(file)]
    process = await _begin(command)
    try:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            if b"listening on" in line:
                break
        else:
            raise NotSo("tcpdump did not start: is it installed?")
        yield file
        await asyncio.sleep(SETTLE_SECONDS)
        process.send_signal(signal.SIGINT)
        await process.communicate()
    finally:
        _end(process)


class NamespaceFabric:
    def __init__(self, lab: LabFolder) -> None:
        self._lab = lab

    async def wire(self, during: Awaitable[object]) -> list[Tunnelled]:
        """Seen at the router, on the first host's cable."""
        space = names.router_namespace(self._lab.name)
        async with captured(within(space, []), names.router_port(0), self._lab.path / "wire.pcap") as pcap:
            await during
        return [found for octets in packets(pcap.read_bytes()) if (found := tunnelled(octets))]

    async def flows_naming(self, host: str, mac: str) -> int:
        target = f"unix:{self._lab.rundir(self._lab.host(host))}/{names.INTEGRATION_BRIDGE}.mgmt"
        shown = await output(["ovs-ofctl", "-O", "OpenFlow15", "dump-flows", target])
        colons = mac_colons(parse_mac(mac))
        bare = f"{parse_mac(mac):x}"
        return sum(colons in line or f"0x{bare}" in line for line in shown.splitlines())

    async def intrude(self, host: str, port: str, mac: str) -> None:
        attached = f'external_ids:attached-mac="{mac_colons(parse_mac(mac))}"'
        plug = ["add-port", names.PROVIDER_BRIDGE, port, "--", "set", "Interface", port, "type=internal", attached]
        await output(self._vsctl(host, *plug))

    async def withdraw(self, host: str, port: str, mac: str) -> None:
        await output(self._vsctl(host, "del-port", names.PROVIDER_BRIDGE, port))

    def _vsctl(self, host: str, *words: str) -> list[str]:
        database = self._lab.rundir(self._lab.host(host)) / "db.sock"
        return ["ovs-vsctl", f"--db=unix:{database}", "--timeout=60", *words]


class LabService:
    def __init__(self, lab: LabFolder) -> None:
        self._lab = lab

    async def kill(self) -> None:
        await asyncio.to_thread(control.stop_controller, self._lab)

    async def start(self) -> None:
        def begin() -> None:
            control.start_controller(self._lab)
            control.await_ready(self._lab)
            control.await_agents(self._lab, [host.name for host in self._lab.read().hosts.values()])

        await asyncio.to_thread(begin)


@contextlib.asynccontextmanager
async def real_stage(lab: LabFolder) -> AsyncIterator[Stage]:
    """On a lab that is up."""
    guests = NamespaceGuests(lab)
    try:
        async with Client.connect(lab.read().url, control.new_id) as client:
            yield Stage(client, guests, guests, NamespaceFabric(lab), LabService(lab))
    finally:
        await guests.close()
