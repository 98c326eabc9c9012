"""The plane of a Hyper-V host: its network virtualization, made to match the policy by scripts.

Made by run.py; fulfils weft.agent.plane.Plane. What should be is compiled from the records as the API's own script is
(core.hyperv.network_virtualization); what is, the host is asked; the difference is applied by one script, then the host
is asked again, and only if nothing is left to do is the policy applied. A machine's adapter is its port: it is bound
while its port profile names the interface and its MAC address is the interface's.

Nothing of this survives a restart of the host. So whenever anything about its machines changed, or the host fell
silent, what is there is read anew before a machine may start.

In version 2 the host has a network controller's host agent, which takes all but the port profiles from elsewhere: then
there are no records to keep, and ports are all that is told.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import msgspec

from weft.agent.bindings import CLOSED, Local, bind
from weft.agent.flows.ways import mtu_for
from weft.agent.hyperv.shell import ScriptFailed, Shell, ShellError
from weft.agent.plane import Standing, Telling
from weft.agent.sightings import Sightings
from weft.agent.switch import SwitchFacts, SwitchMac, SwitchPort, SwitchUnavailable
from weft.agent.told import Told
from weft.core.hyperv.differences import Changes, Difference, difference
from weft.core.hyperv.found import Found, read_found
from weft.core.hyperv.network_scripts import APPLY, FOUND
from weft.core.hyperv.network_virtualization import Desired, desired
from weft.core.hyperv.portions import portions
from weft.core.hyperv.script import Script
from weft.model.hypervisor import MachineState
from weft.model.records import (
    HostRecord,
    Machine,
    NetworkRecord,
    Record,
    RecordKey,
    SubnetRecord,
)
from weft.model.values import Mac, Rdid, Vsid
from weft.wire.messages import HOST_STREAM, Problem

log = logging.getLogger(__name__)

LOOK_SECONDS = 20.0
"""The host's records are read anew this often though nothing is known to have changed."""
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0
"""What fails is tried again more and more seldom: each time asks much of the host."""
SCRIPT_SECONDS = 300.0
MAX_DRIFT = 50
PROVIDER_MTU = 1500
BLOCKED, FAILED = "PortBlocked", "PolicyConfigurationFailure"
"""configurationState codes, MS-NCNBI 2.2.4."""


class HyperVPlane:
    """One host's."""

    def __init__(self, server: str, shell: Shell, adapter: str, look_seconds: float = LOOK_SECONDS) -> None:
        """`server` is what errors call the host, `adapter` its physical network adapter that carries the tunnels; empty
        for version 2."""
        self._server = server
        self._shell = shell
        self._adapter = adapter
        self._look_seconds = look_seconds
        self._told = Told()
        self._networks: dict[int, dict[RecordKey, NetworkRecord]] = {}
        self._subnets: dict[int, dict[RecordKey, SubnetRecord]] = {}
        """Those of them that are subnets; the others are as many as there are interfaces in the network."""
        self._locals: dict[str, Local] | None = None
        self._desired: Desired | None = None
        """None: it must be compiled again."""
        self._found: Found | None = None
        """None: it must be read."""
        self._before: Desired | None = None
        """What was wanted when the host last was as it should be."""
        self._served: dict[str, int] = {}
        """The virtual subnets of adapters then, by their ids."""
        self._difference = Difference()
        self._pending = True
        """What should be and what is have not been compared yet, or are not equal."""
        self._failure = ""
        self._failed: Desired | None = None
        """What was wanted when it failed, to be tried again at `retry_at`."""
        self._pause = RETRY_SECONDS
        self._retry_at = self._look_at = 0.0
        self._drift: deque[str] = deque(maxlen=MAX_DRIFT)
        self._sightings = Sightings()

    # told

    def put(self, stream: int, key: RecordKey, record: Record | None) -> None:
        self._desired, self._pending = None, True
        if stream != HOST_STREAM:
            self._put_of_network(stream, key, record)
            return
        self._locals = None
        self._told.put(key, record)

    def _put_of_network(self, rdid: int, key: RecordKey, record: Record | None) -> None:
        network, subnets = self._networks.setdefault(rdid, {}), self._subnets.setdefault(rdid, {})
        network.pop(key, None)
        subnets.pop(key, None)
        if record is not None and not isinstance(record, HostRecord):
            network[key] = record
        if isinstance(record, SubnetRecord):
            subnets[key] = record
        if not network:
            del self._networks[rdid], self._subnets[rdid]

    def machines_are(self, states: Iterable[MachineState]) -> None:
        if self._told.machines_are(states):
            self._locals = self._found = None
            self._pending = True

    def changed(self) -> None:
        self._found, self._pending = None, True

    def lost(self) -> None:
        self.changed()

    def estranged(self) -> None:
        self._sightings.stop()

    async def events(self) -> AsyncIterator[None]:
        """None: what other hands do to records is seen at the next look, what they do to machines by the driver."""
        await asyncio.Event().wait()
        yield None

    async def serve(self) -> None:
        """Nothing: guests' packets do not come here."""

    # doing

    async def look(self) -> None:
        if self._adapter and (self._found is None or _now() >= self._look_at):
            before = self._found
            self._found = await self._read()
            self._pending = self._pending or self._found != before

    async def act(self, in_sync: bool) -> None:
        wanted = self._wanted()
        if not self._adapter:
            self._pending = False
            return
        found = self._found
        if not self._pending or found is None or (self._failed == wanted and _now() < self._retry_at):
            return
        self._difference = difference(wanted, found, self._before, in_sync)
        changes = self._difference.changes
        self._failure = ""
        if changes:
            self._note_drift(wanted, changes)
            await self._apply(changes)
            found = self._found = await self._read()
            self._difference = difference(wanted, found, self._before, in_sync)
        self._pending = bool(self._difference.changes)
        if self._pending and not self._failure:
            self._failure = f"after it was applied there is still to do: {', '.join(_kinds(self._difference.changes))}"
        if not self._pending:
            self._before = wanted
            self._served = {one.id: one.virtual_subnet_id for one in found.adapters}
        self._note_failure(wanted)

    def _note_failure(self, wanted: Desired) -> None:
        if not self._failure:
            self._failed, self._pause = None, RETRY_SECONDS
            return
        self._pause = min(2 * self._pause, MAX_RETRY_SECONDS) if self._failed == wanted else RETRY_SECONDS
        self._failed, self._retry_at = wanted, _now() + self._pause

    async def look_around(self) -> None:
        """The adapters of running machines; what their switches have learnt is not asked."""
        bound = {local.port.name for local in self._bound().values() if local.port is not None}
        elsewhere = [
            SwitchMac(one.mac, one.id or one.name, one.switch)
            for machine in self._told.hosted or ()
            for one in machine.adapters
            if machine.power == "Running" and one.mac and one.switch and one.id not in bound
        ]
        self._sightings.look((), "", elsewhere, self._bound(), _now())

    def due(self, told: bool) -> float:
        if self._failure:
            return max(0.05, self._retry_at - _now())
        if not self.settled:
            return RETRY_SECONDS
        due = max(0.0, self._look_at - _now()) if self._adapter else self._look_seconds
        return min(due, RETRY_SECONDS) if told and not self._sightings.looked(_now()) else due

    async def _read(self) -> Found:
        answer = await self._run(FOUND, {"Adapter": self._adapter})
        try:
            found = read_found(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise SwitchUnavailable(f"{self._server}: {FOUND.name}: the answer makes no sense: {error!r}") from error
        self._look_at = _now() + self._look_seconds
        return found

    async def _apply(self, changes: Changes) -> None:
        """A script that fails half-way is a failure of the host's policy; what it did is read afterwards."""
        try:
            for portion in portions(changes):
                await self._run(APPLY, {"Adapter": self._adapter, "Changes": portion})
        except SwitchUnavailable as unavailable:
            if not isinstance(unavailable.__cause__, ScriptFailed):
                raise
            self._failure = str(unavailable)
            log.warning("%s", self._failure)

    async def _run(self, script: Script, arguments: Any) -> Any:
        try:
            async with asyncio.timeout(SCRIPT_SECONDS):
                return await self._shell.run(script, arguments)
        except TimeoutError:
            words = f"{self._server}: {script.name} has not ended within {SCRIPT_SECONDS:.0f} s"
            raise SwitchUnavailable(words) from None
        except ShellError as error:
            raise SwitchUnavailable(f"{self._server}: {error.words}") from error

    def _note_drift(self, wanted: Desired, changes: Changes) -> None:
        """Nobody wants anything else, and yet something is otherwise: another hand's work, or the host started anew. A
        port that has only now come is neither."""
        if wanted == self._before:
            moved = tuple(one for one in changes.set_ports if self._served.get(one.adapter_id) == one.virtual_subnet_id)
            for words in _kinds(msgspec.structs.replace(changes, set_ports=moved)):
                log.warning("drift: %s: %s", self._server, words)
                self._drift.append(words)

    # worked out

    @property
    def settled(self) -> bool:
        known = self._found is not None or not self._adapter
        return not self._pending and known and self._desired is not None

    @property
    def machines(self) -> Mapping[str, Machine]:
        return self._told.machines

    @property
    def states(self) -> Mapping[str, MachineState]:
        return self._told.states or {}

    def _wanted(self) -> Desired:
        if self._desired is None:
            networks = {number: list(records.values()) for number, records in self._networks.items()}
            self._desired = desired(self._told.records.values(), networks)
        return self._desired

    def _bound(self) -> dict[str, Local]:
        if self._locals is None:
            facts = SwitchFacts(tuple(self._ports()))
            # ports on VLANs are their hosts' own affair here
            virtual = [one for one in self._told.bindings if one.rdid]
            self._locals = bind(virtual, self.machines.values(), facts, self._told.states)
        return self._locals

    def _ports(self) -> Iterable[SwitchPort]:
        """The adapters of the host's machines, as ports. Their numbers say nothing but that they are there."""
        number = 0
        for machine in self._told.hosted or ():
            for one in machine.adapters:
                number += 1
                mac = Mac(one.mac) if one.mac else None
                yield SwitchPort(one.id or f"{machine.id} {one.name}", number, one.instance_id, mac)

    def standing(self) -> Standing:
        bound = self._bound()
        subnets: dict[Vsid, tuple[SubnetRecord, ...]] = {}
        mtus: dict[str, int] = {}
        for instance, local in bound.items():
            binding = local.binding
            subnets[binding.vsid] = self._subnets_of(binding.rdid, binding.vsid)
            family = 6 if len(binding.provider_address) == 16 else 4
            mtus[instance] = mtu_for("nvgre", PROVIDER_MTU, family)
        return Standing(bound, subnets, mtus, self._told.settings)

    def _subnets_of(self, rdid: Rdid, vsid: Vsid) -> tuple[SubnetRecord, ...]:
        return tuple(one for one in self._subnets.get(rdid, {}).values() if one.vsid == vsid)

    def telling(self, trouble: str) -> Telling:
        bound = self._bound()
        return Telling(
            ports=tuple(bound[instance].fact() for instance in sorted(bound)),
            problems=tuple(self._problems(trouble)),
            drift=tuple(self._drift),
            foreign=self._difference.foreign,
            seen=self._sightings.seen(_now()),
            looked=self._sightings.looked(_now()),
        )

    def _problems(self, trouble: str) -> Iterable[Problem]:
        if trouble:
            yield Problem(FAILED, f"network virtualization does not answer: {trouble}")
        if self._failure:
            yield Problem(FAILED, self._failure)
        for instance, local in sorted(self._bound().items()):
            if local.fact().state == CLOSED:
                yield Problem(BLOCKED, f"{local.binding.network_interface}: {local.reason}", instance)
            if instance in self._told.access:
                name = local.binding.network_interface
                yield Problem(FAILED, f"{name}: Hyper-V hosts carry out no access lists: everything passes", instance)
            if instance in self._told.learning:
                name = local.binding.network_interface
                words = "Hyper-V hosts learn no addresses that guests bring; those that it has already it keeps"
                yield Problem(FAILED, f"{name}: {words}", instance)
        for edge in self._told.edges:
            words = "Hyper-V hosts make no edges: let a Linux server be the gateway"
            yield Problem(FAILED, f"{edge.resource_ref}: {words}")
        for words in self._difference.problems:
            yield Problem(FAILED, words)


def _kinds(changes: Changes) -> Iterable[str]:
    """In words and numbers what is to be done."""
    for name in changes.__struct_fields__:
        value = getattr(changes, name)
        if value:
            words = name.replace("_", " ")
            yield words if value is True else f"{words}: {len(value)}"


def _now() -> float:
    return asyncio.get_running_loop().time()
