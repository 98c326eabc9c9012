"""The hypervisor driver for one Hyper-V host, over a Shell. Fulfils weft.agent.hypervisors.Hypervisor.

Made by run.py. It keeps next to nothing: which machines are awaited here and which went where since it was made; all
else is asked of the host. Each verb is one script that reads back what it did, so a verb that returned is so on the
host. What happens by other hands is seen by a cheap script that is asked every other second.
"""

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from weft.agent.hyperv.shell import Shell, ShellError
from weft.agent.hypervisors import (
    Announce,
    Blank,
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
    SetRange,
    Start,
    Stop,
    Verb,
    subject,
)
from weft.core.hyperv import machines_checkpoints as checkpoints
from weft.core.hyperv import machines_define as define
from weft.core.hyperv import machines_facts as reading
from weft.core.hyperv import machines_host as host_scripts
from weft.core.hyperv import machines_ports as ports_scripts
from weft.core.hyperv import machines_power as power
from weft.core.hyperv.machines_notes import announced, disks_of, is_announced
from weft.core.hyperv.machines_ports import AdaptersDiffer, paired, ports_argument
from weft.core.hyperv.script import Script
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.model.records import Errand
from weft.model.values import mac_digits

log = logging.getLogger(__name__)

PULSE_SECONDS = 2.0
"""Between two looks for what other hands did."""
SELDOM_SECONDS = 30.0
"""Facts are read anew this often whatever the looks say: they do not see port profiles and the host's settings."""
FACTS_SECONDS = 90.0
VERB_SECONDS = 300.0
LONG_SECONDS = 6 * 3600.0
"""For what copies disks or the memory of a running machine."""
_FACTS = "facts"
_NOT_HERE = "the host has no such machine"
_SAME_BOOT_SECONDS = 120
"""Hyper-V works the time of its start out from the clock, which is set now and then; no host starts twice within."""


class HyperVDriver:
    """One host. Concurrent calls for different machines are safe."""

    def __init__(self, server: str, shell: Shell, pulse: float = PULSE_SECONDS, untag: bool = False) -> None:
        """`server` is what errors call the host. `untag`: its ports are a network controller's (version 2), which a
        VLAN of the adapter would contradict; what is bound leaves it."""
        self._server = server
        self._shell = shell
        self._pulse = pulse
        self._untag = untag
        self._awaited: dict[str, str] = {}
        """Machines that may come here, with the hypervisor's id of them where it is known."""
        self._moved: dict[str, str] = {}
        """Machines that went away by a verb, and to which server."""
        self._boot = ""
        self._print: tuple[str, ...] | None = None
        """Of the facts that were told last, which were the `asked`th."""
        self._asked = 0

    # facts

    async def facts(self) -> HypervisorState:
        return await self._with_awaited((await self._found(_FACTS)).state)

    async def _found(self, what: str) -> reading.Found:
        answer = await self._ask(what, reading.FACTS, {}, FACTS_SECONDS)
        try:
            if what == _FACTS:
                self._print = reading.fingerprint(answer)
                self._asked += 1
            return reading.found(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise HypervisorFailure(f"{self._server}: {what}: the answer makes no sense: {error!r}") from error

    async def _with_awaited(self, state: HypervisorState) -> HypervisorState:
        for name, own in list(self._awaited.items()):
            if any(one.machine == name or (own and one.id == own.lower()) for one in state.machines):
                del self._awaited[name]
        awaited = (MachineState(name, "Off", id=own, awaited=True) for name, own in self._awaited.items())
        self._boot = _steady(self._boot, state.boot)
        return msgspec.structs.replace(state, machines=(*state.machines, *awaited), boot=self._boot)

    async def events(self) -> AsyncIterator[None]:
        """Compared with what was told, not with the look before: what changed and changed back in between is seen."""
        seen: object = None
        since, told_at = -1, _now()
        while True:
            now, restored = await self._pulse_now(since)
            for one in restored if since >= 0 else ():  # what was before the first look is no news
                log.info("%s: a checkpoint was applied to machine %s", self._server, one.machine or "unknown")
            since = max([since, 0, *(one.record for one in restored)])
            news = now != self._print and (now, self._asked) != seen
            if news or restored or _now() - told_at >= SELDOM_SECONDS:
                seen, told_at = (now, self._asked), _now()
                yield None
            await asyncio.sleep(self._pulse)

    async def _pulse_now(self, since: int) -> tuple[object, list[reading.Restored]]:
        """The fingerprint, or why there is none, and the checkpoints that were applied after that record."""
        try:
            answer = await self._ask("looking for changes", reading.PULSE, {"since": max(since, 0)}, FACTS_SECONDS)
            return reading.pulse_fingerprint(answer), reading.restored(answer)
        except HypervisorFailure as failure:
            return str(failure), []
        except (KeyError, TypeError, ValueError) as error:
            return f"the answer makes no sense: {error!r}", []

    # verbs

    async def carry_out(self, verb: Verb) -> None:
        match verb:
            case Define():
                await self._define(verb)
            case SetMacs():
                await self._set_macs(verb)
            case Prepare():
                await self._prepare(verb)
            case Migrate():
                await self._migrate(verb)
            case Remove():
                await self._remove(verb)
            case CarryOut() | Announce():
                await self._once(verb)
            case Disconnect(own) | Reconnect(own):
                script = ports_scripts.DISCONNECT if isinstance(verb, Disconnect) else ports_scripts.RECONNECT
                await self._do(verb, script, ports_scripts.cables_argument(own))
            case Blank(own, checkpoint):
                which = {"id": own, "name": "", "checkpoint": checkpoint}
                await self._do(verb, checkpoints.BLANK_CHECKPOINT, which)
            case SetRange(first, last):
                ends = {"first": mac_digits(first), "last": mac_digits(last)}
                await self._do(verb, host_scripts.SET_RANGE, ends)
            case _:
                await self._power(verb)

    async def _power(self, verb: Start | Stop | Save) -> None:
        own = await self._id_of(verb, subject(verb), verb.id)
        if not own and isinstance(verb, Stop):
            return
        if not own:
            raise self._failure(verb, _NOT_HERE)
        match verb:
            case Start(_, ports):
                await self._do(verb, power.START, {"id": own, "adapters": ports_argument(ports)})
            case Stop():
                await self._do(verb, power.STOP, {"id": own})
            case Save():
                await self._do(verb, power.SAVE, {"id": own})

    async def _define(self, verb: Define) -> None:
        name, hardware = verb.machine.machine, verb.machine.hardware
        if hardware is None:
            raise self._failure(verb, "its record does not say what it is made of")
        if hardware.kernel:
            raise self._failure(verb, "hardware.kernel is for libvirt: a machine on Hyper-V boots from its first disk")
        if await self._is_made(verb, name):
            return
        await self._do(verb, define.DEFINE, define.define_argument(verb.machine, hardware, verb.ports), LONG_SECONDS)

    async def _is_made(self, verb: Verb, name: str) -> bool:
        """It is here already; what an earlier attempt left half made is removed."""
        self._moved.pop(name, None)
        found = await self._found(_words(verb))
        await self._clear(verb, name, found)
        return any(one.machine == name for one in found.state.machines)

    async def _clear(self, verb: Verb, name: str, found: reading.Found) -> None:
        for leaving in found.leavings:
            if leaving.machine == name:
                await self._do(verb, define.REMOVE, define.clear_argument(leaving))

    async def _set_macs(self, verb: SetMacs) -> None:
        own = await self._id_of(verb, verb.machine.machine, verb.id)
        if not own:
            raise self._failure(verb, _NOT_HERE)
        (state,) = reading.machine_states(await self._do(verb, reading.MACHINE, {"id": own}))
        wanted = [(port.instance_id, port.mac) for port in verb.ports]
        await self._do(verb, ports_scripts.SET_MACS, self._ports(own, self._pair(verb, state.adapters, wanted)))

    def _ports(self, own: str, adapters: list[dict[str, str]]) -> dict[str, Any]:
        return {"id": own, "untag": self._untag, "adapters": adapters}

    def _pair(self, verb: Verb, adapters: tuple[AdapterState, ...], wanted: list[Any]) -> list[dict[str, str]]:
        try:
            pairs = paired(adapters, wanted)
        except AdaptersDiffer as error:
            raise self._failure(verb, f"Get-VMNetworkAdapter: {error}") from error
        return [
            {
                "id": own,
                "mac": mac_digits(wanted[place][1]),
                "profile": ports_scripts.profile_id(wanted[place][0]),
            }
            for own, place in pairs
        ]

    async def _prepare(self, verb: Prepare) -> None:
        name, hardware = verb.machine.machine, verb.machine.hardware
        self._moved.pop(name, None)
        found = await self._found(_words(verb)) if not verb.id else None
        known = verb.id or (_among(found, name, verb.machine.hypervisor_id) if found is not None else "")
        if found is not None and not known and verb.machine.power == "Incoming":
            # its ports come with it; the move itself would tell of a missing switch too late
            if hardware is not None and hardware.switch and hardware.switch not in found.state.switches:
                raise self._failure(verb, f"Get-VMSwitch: there is no virtual switch {hardware.switch}")
            self._awaited[name] = verb.machine.hypervisor_id
            return
        if not known:
            raise self._failure(verb, _NOT_HERE)
        await self._do(verb, ports_scripts.BIND, self._ports(known, ports_argument(verb.ports)))

    async def _migrate(self, verb: Migrate) -> None:
        known = _among(await self._found(_words(verb)), verb.machine, verb.id)
        if not known:
            if self._moved.get(verb.machine) == verb.server.lower():
                return
            raise self._failure(verb, _NOT_HERE)
        destination = verb.address or verb.server
        nodes = sorted({verb.server, destination, destination.partition(".")[0]})
        await self._do(verb, power.MIGRATE, {"id": known, "destination": destination, "nodes": nodes}, LONG_SECONDS)
        self._moved[verb.machine] = verb.server.lower()

    async def _remove(self, verb: Remove) -> None:
        self._awaited.pop(verb.machine, None)
        found = await self._found(_words(verb))
        own = _among(found, verb.machine, verb.id)
        if own:
            files = disks_of(found.notes[own]) if verb.with_files else ()
            await self._do(verb, define.REMOVE, define.remove_argument(own, files))
        await self._clear(verb, verb.machine, found)

    async def _notes(self, verb: Announce | CarryOut) -> tuple[str, str]:
        """The VMId and the notes. Raises HypervisorFailure."""
        own = await self._id_of(verb, verb.machine.machine, verb.id)
        if not own:
            raise self._failure(verb, _NOT_HERE)
        return own, reading.notes_of(await self._do(verb, reading.MACHINE, {"id": own}))

    async def _once(self, verb: Announce | CarryOut) -> None:
        errand = verb.machine.errand
        if errand is None:
            raise self._failure(verb, "its record has no errand")
        if isinstance(verb, CarryOut):
            await self._errand(verb, errand)
        else:
            own, notes = await self._notes(verb)
            await self._do(verb, checkpoints.ANNOUNCE, {"id": own, "notes": announced(notes, errand.number)})

    async def _errand(self, verb: CarryOut, errand: Errand) -> None:
        if errand.kind == "copy":
            if not await self._is_made(verb, verb.machine.machine):
                told = define.copy_argument(verb.machine, errand.name, verb.ports)
                await self._do(verb, define.COPY, told, LONG_SECONDS)
            return
        own = await self._id_of(verb, verb.machine.machine, verb.id)
        if not own:
            raise self._failure(verb, _NOT_HERE)
        which = {"id": own, "name": errand.name, "checkpoint": errand.id}
        match errand.kind:
            case "checkpoint":
                await self._do(verb, checkpoints.CHECKPOINT, {**which, "checkpoint": ""}, LONG_SECONDS)
            case "restore":
                await self._restore(verb, errand, which)
            case "deleteCheckpoint":
                await self._do(verb, checkpoints.DELETE_CHECKPOINT, which, LONG_SECONDS)
            case "rewriteCheckpoint":
                await self._rewrite(verb, errand, which)
            case "export":
                await self._do(verb, checkpoints.EXPORT, {"id": own, "path": errand.path}, LONG_SECONDS)
            case kind:
                raise self._failure(verb, f"there is no errand {kind}")

    async def _restore(self, verb: CarryOut, errand: Errand, which: dict[str, str]) -> None:
        if verb.again and not is_announced((await self._notes(verb))[1], errand.number):
            return
        await self._do(verb, checkpoints.RESTORE, which, LONG_SECONDS)

    async def _rewrite(self, verb: CarryOut, errand: Errand, which: dict[str, str]) -> None:
        read = reading.checkpoint_state(await self._do(verb, checkpoints.READ_CHECKPOINT, which))
        adapters = self._pair(verb, read.adapters, list(errand.macs))
        await self._do(verb, checkpoints.REWRITE_CHECKPOINT, {**which, "checkpoint": read.id, "adapters": adapters})

    # asking

    async def _id_of(self, verb: Verb, name: str, told: str) -> str:
        """The VMId: the one that was told, or that of the machine with our mark; empty if there is none."""
        return told or _among(await self._found(_words(verb)), name, "")

    async def _do(self, verb: Verb, script: Script, arguments: Any, seconds: float = VERB_SECONDS) -> Any:
        return await self._ask(_words(verb), script, arguments, seconds)

    async def _ask(self, what: str, script: Script, arguments: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await self._shell.run(script, arguments)
        except TimeoutError:
            raise HypervisorFailure(
                f"{self._server}: {what}: script {script.name} has not ended within {seconds:.0f} s"
            ) from None
        except ShellError as error:
            raise HypervisorFailure(f"{self._server}: {what}: {error.words}") from error

    def _failure(self, verb: Verb, words: str) -> HypervisorFailure:
        return HypervisorFailure(f"{self._server}: {_words(verb)}: {words}")


def _among(found: reading.Found, name: str, told: str) -> str:
    """The VMId of a machine if it is here, by its id or by our mark on it; empty if it is not."""
    here = found.state.machines
    if told:
        return next((one.id for one in here if one.id == told.lower()), "")
    return next((one.id for one in here if one.machine == name), "")


def _words(verb: Verb) -> str:
    name = type(verb).__name__
    if isinstance(verb, CarryOut) and verb.machine.errand is not None:
        name = f"{verb.machine.errand.kind} {verb.machine.errand.name!r}"
    about = subject(verb)
    if about and about == getattr(verb, "id", ""):
        return f"{name} of machine {about}"
    return f"{name} of {about or 'the host'}"


def _steady(before: str, now: str) -> str:
    """The text of this boot: the one that was told before where both are of one."""
    try:
        ends = [datetime.datetime.strptime(f"{text} +0000", "%m/%d/%Y %H:%M:%S %z") for text in (before, now)]
    except ValueError:
        return now
    return before if abs((ends[1] - ends[0]).total_seconds()) < _SAME_BOOT_SECONDS else now


def _now() -> float:
    return asyncio.get_running_loop().time()
