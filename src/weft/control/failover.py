"""Failover: a machine whose host is dead gets another, as it was. Called by weft.control.machines, also to ask whether
a host may be removed with its machines.

Two hosts must never run one machine, so the present host must have gone, or the caller says that it is fenced (cut off
from power, or from network and disks). A host that comes back afterwards is told that the machine is no longer its own
and stops it; one that was removed is told nothing any more.
"""

import asyncio

import msgspec

from weft.control.hosts import RESUME_S
from weft.control.moves import UNDER_WAY, Moves
from weft.control.power import Power
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation
from weft.control.writer import Writer
from weft.core.commands import Actor, Failover, RemoveServer
from weft.core.index import servers_of
from weft.core.policy_host import interfaces_of
from weft.core.policy_places import VirtualMachine, server_of
from weft.core.taken_addresses import check_reaches
from weft.model.errors import NotReady, WaitTimedOut

FAILOVER_TIMEOUT_S = 60.0

_MOST = 10
"""So many machines are named."""


class _Doubt(msgspec.Struct, frozen=True):
    """What a refusal says beside the host that has not gone."""

    what: str
    """That may run there."""
    instead: str
    """What to do if it does; sentences."""
    command: str
    """That says that the host is fenced."""


class Failovers:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher, power: Power, moves: Moves) -> None:
        self._writer = writer
        self._publisher = publisher
        self._power = power
        self._moves = moves
        self._began: float | None = None

    def begin(self) -> None:
        """The controller begins: from now on its agents come back."""
        self._began = asyncio.get_running_loop().time()

    def check(self, name: str, server: str, fenced: bool) -> None:
        """Raises Refusal: it would be refused whatever its hosts do; NotReady: the machine may still run where it is,
        or cannot run where it should go."""
        machine = self._power.machine(name)
        self._writer.dry_run(Failover(name, server))
        if not fenced:
            command = f"weft vm failover {name} --to {server} --fenced"
            doubt = _Doubt(f"the machine '{name}'", "Move it instead (migrate).", command)
            self._check_gone(self._may_run_at(machine) - {server.lower()}, doubt)
        self._power.check_reachable(server.lower())
        agent = self._publisher.managed.get(server.lower())
        if machine.properties.power_state == "Running" and agent is not None and not agent.hypervisor:
            raise NotReady(f"The agent of '{server}' drives no hypervisor: it cannot take a running machine.")
        if machine.properties.power_state == "Running":
            interfaces = interfaces_of(self._writer.state, machine)
            subnets = (one.properties.subnet for each in interfaces for one in each.properties.ip_configurations)
            check_reaches(self._writer.state, server, subnets, self._publisher.taken_on(server.lower()))

    def _may_run_at(self, machine: VirtualMachine) -> set[str]:
        """Hosts that may run it now: its own, and during a move the other end too."""
        move = machine.properties.move
        found = set(servers_of(machine))
        if move is not None and move.phase in ("preparing", "switched"):
            # not asked yet, or known to have arrived: it runs in one place only
            found = {server_of(machine)}
        return found

    def check_removal(self, server: str, fenced: bool) -> None:
        """May a server go with its machines? Raises Refusal: it would be refused whatever its host does; NotReady:
        machines may run there, and would run on while the ledger has them as off."""
        self._writer.dry_run(RemoveServer(server))
        key, spelled = server.lower(), self._publisher.spelled(server.lower())
        running = sorted(
            machine.resource_id
            for machine in self._writer.state.machines_on(key)
            if machine.properties.power_state == "Running" and key in self._may_run_at(machine)
        )
        if running and not fenced:
            more = f" and {len(running) - _MOST} more" if len(running) > _MOST else ""
            instead = (
                f"They would run on, and count as off. Move them away (weft host evacuate {spelled}), or stop them "
                "(weft vm stop NAME)."
            )
            command = f"weft host remove {spelled} --force --fenced"
            self._check_gone({key}, _Doubt(f"machines ({', '.join(running[:_MOST])}{more})", instead, command))

    def _check_gone(self, servers: set[str], doubt: _Doubt) -> None:
        for server in sorted(servers):
            spelled = self._publisher.spelled(server)
            if self._publisher.session(server) is not None:
                raise NotReady(
                    f"The agent of '{spelled}' is connected, and {doubt.what} may run there. {doubt.instead} If "
                    f"{spelled} is broken all the same, cut it off from power, or from network and disks, and ask with "
                    f"fenced ({doubt.command}).",
                    target=f"/servers/{spelled}",
                )
            if self.may_come_back(server):
                raise NotReady(
                    f"The controller has just begun, and the agent of '{spelled}', where {doubt.what} may run, has had "
                    f"no time to come back. Ask again in {RESUME_S:g} s; if {spelled} is cut off from power, or from "
                    f"network and disks, ask with fenced ({doubt.command}).",
                    target=f"/servers/{spelled}",
                )

    def may_come_back(self, server: str) -> bool:
        """A controller that begins finds no agent connected: that says nothing of their hosts."""
        if server not in self._publisher.managed or server in self._publisher.returned or self._began is None:
            return False
        return asyncio.get_running_loop().time() - self._began < RESUME_S

    async def carry_out(
        self, name: str, server: str, actor: Actor, timeout: float = FAILOVER_TIMEOUT_S
    ) -> VirtualMachine:
        """After check(). Return when its new host has it. Raises Refusal; WaitTimedOut, then it belongs there."""
        machine = self._power.machine(name)
        before = servers_of(machine)
        submitted = await self._writer.submit(Failover(name, server), actor)
        for old in before:
            # whoever waits for a word of the dead learns here that it is no longer needed
            self._publisher.listening.heard(old)
        expected = Expectation(self._publisher, server.lower(), submitted.revision)
        deadline = asyncio.get_running_loop().time() + timeout
        power = "Running" if machine.properties.power_state == "Running" else "Off"
        verdict = await self._moves.until(
            {server.lower()}, lambda: expected.power(self._power.machine(name), power), deadline
        )
        if not verdict.settled:
            why = verdict.failure or f"{verdict.waiting_for} did not come about within {timeout:g} s"
            raise WaitTimedOut(
                f"The machine '{name}' belongs to {server} now, but it is not {power} there: {why}. "
                "Its host tries again by itself."
            )
        return self._power.machine(name)

    def is_moving(self, name: str) -> bool:
        """Is somebody waiting for a move of it, whose hosts may be the dead ones?"""
        move = self._power.machine(name).properties.move
        return move is not None and move.phase in UNDER_WAY
