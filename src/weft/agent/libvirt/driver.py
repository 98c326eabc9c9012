"""The libvirt driver of one host: agent.hypervisors.Hypervisor over libvirtd.

Made by __main__ (`weft agent --hypervisor libvirt:URI`). Every verb reads back what it did; what differs, and whatever
libvirt says, is a HypervisorFailure that names host, machine and reason. A connection that breaks is made anew with the
next call.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import libvirt

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
    subject,
)
from weft.agent.libvirt import definitions, errands, moving, running, snapshots
from weft.agent.libvirt.connection import Connection, in_thread
from weft.agent.libvirt.domain_reading import domain_types, machine_types, most_processors
from weft.agent.libvirt.domain_xml import Platform
from weft.agent.libvirt.facts import facts_of
from weft.agent.libvirt.handing_over import handed_over, unless
from weft.agent.libvirt.host import Host, Settings
from weft.agent.libvirt.power import RUNNING, Lives
from weft.model.hypervisor import HypervisorState
from weft.model.records import Machine

log = logging.getLogger(__name__)

LOOK_SECONDS = 4.0
"""What libvirt sends no event for, such as a snapshot of a machine that is off, is seen within this time."""

_Watcher = tuple[asyncio.AbstractEventLoop, asyncio.Event]
_HANDING_OVER = (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED)


def open_hypervisor(
    uri: str, settings: Settings, new_id: Callable[[], str], now: Callable[[], float]
) -> "LibvirtHypervisor":
    """Connects with the first call, and again after libvirtd was restarted. `now` are seconds of a clock that does not
    jump."""
    return LibvirtHypervisor(uri, settings, new_id, now)


class LibvirtHypervisor:
    """Driver of one host."""

    def __init__(self, uri: str, settings: Settings, new_id: Callable[[], str], now: Callable[[], float]) -> None:
        self._settings = settings
        self._new_id = new_id
        self._connection = Connection(uri, self._event, self._happened)
        self._lives = Lives(now)
        self._platform: Platform | None = None
        self._awaited: dict[str, Machine] = {}
        """Machines that a move to here was prepared for."""
        self._moved: dict[str, str] = {}
        """Where this process has moved machines to that are not here since."""
        self._unpacking: dict[str, asyncio.Task[None]] = {}
        """By UUID."""
        self._watchers: set[_Watcher] = set()
        self._told = HypervisorState()
        """The last facts."""
        self._held: set[str] = set()
        """Machines that libvirt said it hands over, by UUID, until that is told."""
        self._handing_over: set[_Watcher] = set()
        """Who waits for facts, to be told that a machine is handed over meanwhile."""

    async def facts(self) -> HypervisorState:
        try:
            self._told = self._said_to_be_held() or await self._answer()
        except libvirt.libvirtError as error:
            raise HypervisorFailure(f"libvirt on {self._settings.server}: {_said(error)}") from error
        return self._told

    def _said_to_be_held(self) -> HypervisorState | None:
        held = set(self._held)  # libvirt's thread may change it meanwhile
        self._held -= held
        return handed_over(self._told, held) if held else None

    async def _answer(self) -> HypervisorState:
        """Of libvirt, unless it says by itself that it hands a machine over. Raises libvirtError."""
        handing_over = asyncio.Event()
        watcher = (asyncio.get_running_loop(), handing_over)
        self._handing_over.add(watcher)
        try:
            while (answered := await unless(self._ask, handing_over)) is None:
                handing_over.clear()
                if (held := self._said_to_be_held()) is not None:
                    return held
        finally:
            self._handing_over.discard(watcher)
        state, arrived = answered
        for domain in arrived:
            self._unpack(domain)
        for one in state.machines:
            self._moved.pop(one.machine.lower(), None)
            if one.power == RUNNING:
                for name in [name for name, machine in self._awaited.items() if _is(machine, one.machine, one.id)]:
                    self._awaited.pop(name, None)
        return state

    async def _ask(self) -> tuple[HypervisorState, list[Any]]:
        """All of the host, and the domains that arrived."""
        awaited, arrived = dict(self._awaited), list[Any]()
        return await in_thread(lambda: facts_of(self._host(), awaited, arrived)), arrived

    async def carry_out(self, verb: Verb) -> None:
        machine = subject(verb)
        try:
            if isinstance(verb, Migrate):
                await self._migrate(verb)
            elif isinstance(verb, Prepare) and verb.machine.power == "Incoming":
                await self._await(verb.machine)
            else:
                await in_thread(lambda: self._carry_out(verb))
            if isinstance(verb, Remove):
                self._awaited.pop(verb.machine, None)
        except HypervisorFailure as failure:
            raise HypervisorFailure(f"{self._words(verb, machine)}: {failure}") from failure
        except libvirt.libvirtError as error:
            raise HypervisorFailure(f"{self._words(verb, machine)}: {_said(error)}") from error
        except OSError as error:
            raise HypervisorFailure(f"{self._words(verb, machine)}: {error}") from error
        finally:
            self._happened()

    async def _await(self, machine: Machine) -> None:
        if not await in_thread(lambda: moving.check_destination(self._host(), machine)):
            self._awaited[machine.machine] = machine

    def _unpack(self, domain: Any) -> None:
        """Beside everything else: libvirt is not done with a machine when it begins to run. What fails is seen again
        with the next facts."""
        uuid = domain.UUIDString()
        if uuid not in self._unpacking:
            self._unpacking[uuid] = asyncio.create_task(self._unpack_one(domain, uuid), name=f"snapshots of {uuid}")

    async def _unpack_one(self, domain: Any, uuid: str) -> None:
        try:
            await in_thread(lambda: snapshots.unpack(domain))
        except libvirt.libvirtError as error:
            log.warning("%s: its snapshots are not told to libvirt yet: %s", uuid, _said(error))
        finally:
            del self._unpacking[uuid]

    async def _migrate(self, verb: Migrate) -> None:
        if self._moved.get(verb.machine.lower()) != verb.server.lower():
            await in_thread(lambda: moving.migrate(self._host(), verb))
            self._moved[verb.machine.lower()] = verb.server.lower()
            # it has gone: what was told before must not be told again
            self._held -= {one.id for one in self._told.machines if one.machine == verb.machine}

    async def events(self) -> AsyncIterator[None]:
        happened = asyncio.Event()
        watcher = (asyncio.get_running_loop(), happened)
        self._watchers.add(watcher)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await happened.wait()
                happened.clear()
                yield None
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Hang up; machines go on."""
        self._connection.close()

    def _words(self, verb: Verb, machine: str) -> str:
        kind = type(verb).__name__
        if isinstance(verb, CarryOut) and verb.machine.errand is not None:
            kind = f"{verb.machine.errand.kind} {verb.machine.errand.name}".strip()
        return f"{kind} of {machine} on {self._settings.server}"

    def _event(self, uuid: str, event: int, detail: int) -> None:
        self._lives.happened(uuid, event, detail)
        if (event, detail) == _HANDING_OVER:
            self._held.add(uuid)
            _set(self._handing_over)
        else:
            self._held.discard(uuid)
        self._happened()

    def _happened(self) -> None:
        """From any thread."""
        _set(self._watchers)

    def _host(self) -> Host:
        """In a thread: it may connect."""
        connection = self._connection.get()
        if self._platform is None:
            self._platform = _platform(connection, self._settings.bridge)
        return Host(connection, self._settings, self._platform, self._new_id, self._lives)

    def _carry_out(self, verb: Verb) -> None:
        host = self._host()
        match verb:
            case Define():
                definitions.define(host, verb)
            case SetMacs():
                definitions.set_macs(host, verb)
            case Remove():
                definitions.remove(host, verb)
            case Prepare():
                running.prepare(host, verb)
            case Start():
                running.start(host, verb)
            case Stop():
                running.stop(host, verb)
            case Save():
                running.save(host, verb)
            case _:
                _carry_out_rarely(host, verb)


def _set(watchers: set[_Watcher]) -> None:
    """From any thread."""
    for loop, event in tuple(watchers):
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(event.set)


def _carry_out_rarely(host: Host, verb: Verb) -> None:
    match verb:
        case Disconnect():
            running.disconnect(host, verb)
        case Reconnect():
            running.reconnect(host, verb)
        case CarryOut():
            errands.carry_out(host, verb)
        case Announce():
            errands.announce(host, verb)
        case _:
            raise HypervisorFailure("libvirt has no such thing")


def _platform(connection: Any, bridge: str) -> Platform:
    """What machines are defined as on this host."""
    said = connection.getCapabilities()
    kinds = domain_types(said)
    if not kinds:
        raise HypervisorFailure("its libvirt has no QEMU for x86_64: install qemu-system-x86")
    machine = "q35" if "q35" in machine_types(said) else "pc"
    limits = connection.getDomainCapabilities(None, "x86_64", machine, kinds[0])
    return Platform(kinds[0], machine, "x86_64", bridge, most_processors(limits))


def _is(machine: Machine, name: str, id: str) -> bool:
    return machine.hypervisor_id.lower() == id if machine.hypervisor_id else machine.machine.lower() == name.lower()


def _said(error: Any) -> str:
    return str(error.get_error_message() or error)
