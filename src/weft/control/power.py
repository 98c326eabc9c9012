"""A machine made Running, Off or Saved: the intent is committed, then its host is waited for.

Called by weft.control.machines and restarts, one at a time per machine. What the host does not do is taken back.
"""

import asyncio
import logging

from weft.control.drivers import defines
from weft.control.moves import Moves
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation
from weft.control.writer import Writer
from weft.core.commands import Actor, SetPower
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import NotFound, NotReady, WeftError
from weft.model.kinds import VIRTUAL_MACHINES
from weft.wire.messages import Insist

log = logging.getLogger(__name__)

POWER_TIMEOUT_S = 30.0


class Power:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher, moves: Moves) -> None:
        self._writer = writer
        self._publisher = publisher
        self._moves = moves

    async def set(self, name: str, power: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Return when it is so on the host. Raises Refusal, NotReady, StoreUnavailable: then it is as it was before."""
        machine = self.machine(name)
        self.check_reachable(server_of(machine))
        before = machine.properties.power_state
        if power == "Saved" and before == "Running":
            self._check_saves(name, server_of(machine))
        submitted = await self._writer.submit(SetPower(name, power, asked=True), actor)
        server = server_of(self.machine(name))
        if before == power:
            self._insist(name, server)
        expected = Expectation(self._publisher, server, submitted.revision)
        deadline = asyncio.get_running_loop().time() + timeout
        verdict = await self._moves.until({server}, lambda: expected.power(self.machine(name), power), deadline)
        if verdict.settled:
            return self.machine(name)
        if before != power:
            await self._take_back(name, before, actor)
        why = verdict.failure or f"{verdict.waiting_for} did not come about within {timeout:g} s"
        raise NotReady(f"The machine '{name}' cannot be made {power} on {server}: {why}. It is {before} as before.")

    def _insist(self, name: str, server: str) -> None:
        """The record says so already: what another hand made of the machine is to go, which its agent would leave."""
        session = self._publisher.session(server)
        own = self.machine(name).resource_id
        fact = session.tables.machines.get(own) if session is not None else None
        if session is not None and fact is not None and fact.by_hand:
            session.say(Insist(own))

    async def _take_back(self, name: str, power: str, actor: Actor) -> None:
        try:
            await self._writer.submit(SetPower(name, power), actor)
        except WeftError as error:
            log.warning("the intent for %s could not be taken back: %s", name, error)

    def _check_saves(self, name: str, server: str) -> None:
        """Raises NotReady where an agent would have to do it whose driver's machines cannot be saved: the lab's."""
        agent = self._publisher.managed.get(server)
        if agent is not None and agent.hypervisor and not defines(agent):
            raise NotReady(
                f"The agent of '{server}' drives a hypervisor ({agent.hypervisor}) that it cannot let save machines: "
                f"stop '{name}' instead."
            )

    def check_reachable(self, server: str) -> None:
        """Raises NotReady for a managed server whose agent is not connected, or cannot reach its hypervisor: then
        nothing would come of waiting."""
        session = self._publisher.session(server)
        if server in self._publisher.managed and session is None:
            raise NotReady(f"The agent of '{server}' is not connected: start it, or see why it cannot reach us.")
        if session is not None and session.silence:
            raise NotReady(f"'{server}' cannot do its part: {session.silence}.")

    def check_hands_over(self, name: str, ends: tuple[str, str], force: bool) -> None:
        """Can the first of these servers hand the running machine over to the second? Raises NotReady. `force` allows
        one that no agent ever connected for."""
        source, destination = ends
        from_host, to_host = self._publisher.managed.get(source), self._publisher.managed.get(destination)
        if from_host is not None and to_host is None and not force:
            raise NotReady(
                f"No agent has ever connected as '{destination}', so nobody could see the machine arrive. "
                "Start the agent there, or move it with force."
            )
        if from_host is not None and self._publisher.session(source) is None:
            # force changes nothing here: only the source can say that the machine runs there no more
            raise NotReady(
                f"The agent of '{source}' is not connected, and only it can hand over the machine '{name}', which may "
                f"still run there. Start the agent; if {source} is dead, ask for a failover to '{destination}'.",
                target=f"/servers/{source}",
            )
        self.check_reachable(destination)
        if from_host is not None and to_host is not None and from_host.hypervisor and not to_host.hypervisor:
            raise NotReady(f"The agent of '{destination}' drives no hypervisor: it cannot take a running machine.")
        self._check_kinds(ends, "a running machine moves between hosts of one kind only")

    def check_made_anew(self, machine: VirtualMachine, ends: tuple[str, str]) -> None:
        """Can the second of these servers have the machine that is off at the first, whose hypervisor may keep it? It
        goes from there and is defined here, of the same disks. Raises NotReady."""
        p = machine.properties
        is_kept = p.hardware is not None or bool(p.made_as) or p.hypervisor is not None
        if is_kept and defines(self._publisher.managed.get(ends[0])):
            why = f"'{machine.resource_id}' would go from the one and not be made on the other. Choose one of its kind"
            self._check_kinds(ends, why)

    def _check_kinds(self, ends: tuple[str, str], why: str) -> None:
        """Do the agents of both servers, as far as they are known, drive hypervisors of one kind? Raises NotReady."""
        agents = [self._publisher.managed.get(server) for server in ends]
        kinds = [agent.hypervisor for agent in agents if agent is not None]
        if len(kinds) == len(ends) and kinds[0] and kinds[0] != kinds[1]:
            raise NotReady(
                f"The agent of '{ends[0]}' drives {kinds[0]} and that of '{ends[1]}' {kinds[1] or 'no hypervisor'}: "
                f"{why}.",
                target=f"/servers/{ends[1]}",
            )

    def machine(self, name: str) -> VirtualMachine:
        """Raises NotFound."""
        machine: VirtualMachine | None = self._writer.state.get(VIRTUAL_MACHINES.name, name)
        if machine is None:
            raise NotFound(f"There is no machine '{name}'.", target=name)
        return machine
