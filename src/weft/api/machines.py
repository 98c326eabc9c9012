"""POST /weft/v1/virtualMachines/{id}/{action} and .../virtualMachines/import. Called by weft.api.routes and batch.

Each answers 200 with the machine (of a clone and an import: the new one) when it is so on the hosts, or a typed error
and nothing has changed. A retry with the same x-ms-client-request-id gets the same answer, also after a restart: an
action that is one transaction keeps its answer in it; of one that waits for hosts an error is not kept, its retry acts
anew.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from weft.api import creating
from weft.api.actions import IF_KEPT, NEVER, Asked, action_of, understand
from weft.api.answers import Answers, Members
from weft.api.call import Answer, Call, json_answer
from weft.api.changes import readable
from weft.api.faults import MethodNotAllowed
from weft.api.resources import Resources, dry_answer, keep, kept, kept_id, wait_of
from weft.control.controller import Controller
from weft.core.commands import Actor, BeginMove, CreateMachine, Decision, RenewMac, RewriteCheckpoints, SetPower
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint
from weft.core.words import no_server
from weft.model.errors import Invalid, InvalidReference, NotFound
from weft.model.kinds import SERVERS, VIRTUAL_MACHINES


class MachineActions:
    """The handler. One per app."""

    def __init__(self, controller: Controller, answers: Answers, resources: Resources) -> None:
        self._controller = controller
        self._answers = answers
        self._resources = resources
        self._running: dict[str, asyncio.Task[Answer]] = {}

    async def handle(self, call: Call, machine: str, verb: str) -> Answer:
        """Carry out an action; no `machine` for one on the collection. Raises Refusal, NotReady, WaitTimedOut."""
        action = action_of(machine, verb)
        if call.method != "POST":
            raise MethodNotAllowed(call.method, ("POST",))
        if action.waits in (NEVER, IF_KEPT):
            asked = understand(machine, verb, call.body)
            if not self.waits(asked):
                return await self._resources.write(call, asked.command, lambda decision: self._answer(asked, decision))
        dry = call.flag("dryRun")
        wait_s = wait_of(call)
        request_id = None if dry else kept_id(call)
        before = self._controller.answer_of(request_id) if request_id is not None else None
        if before is not None:
            answer = kept(before)
        else:
            if self._controller.state.get(VIRTUAL_MACHINES.name, machine) is None:
                raise NotFound(f"There is no machine '{machine}'.", target=f"/weft/virtualMachines/{machine}")
            asked = understand(machine, verb, call.body)
            if dry or getattr(asked.body, "dry_run", False):
                return self._dry(asked)
            answer = await self._once(request_id, self._work(call, asked))
        if wait_s is not None:
            await self._controller.wait_applied(self._controller.state.revision, wait_s)
        return answer

    async def create(self, call: Call) -> Answer:
        """POST on the collection: 201 with the machine when it is there, 200 if it was. Raises as handle()."""
        command = creating.understand(call.body)
        if call.flag("dryRun"):
            return dry_answer(self._controller.machines.dry_create(command))
        wait_s = wait_of(call)
        request_id = kept_id(call)
        before = self._controller.answer_of(request_id) if request_id is not None else None
        answer = kept(before) if before is not None else await self._once(request_id, self._create(call, command))
        if wait_s is not None:
            await self._controller.wait_applied(self._controller.state.revision, wait_s)
        return answer

    async def _create(self, call: Call, command: CreateMachine) -> Answer:
        known = self._controller.state.get(VIRTUAL_MACHINES.name, command.name) is not None
        machine = await self._controller.machines.create(command, call.actor)
        members = self._answers.of(VIRTUAL_MACHINES, machine)
        return json_answer(members, 200 if known else 201, headers=((b"etag", machine.etag.encode()),))

    async def delete(self, call: Call, machine: str) -> Answer:
        """DELETE of a machine whose disks go with it. Raises as handle()."""
        request_id = kept_id(call)
        before = self._controller.answer_of(request_id) if request_id is not None else None
        if before is not None:
            return kept(before)
        return await self._once(request_id, self._delete(call, machine))

    async def _delete(self, call: Call, machine: str) -> Answer:
        await self._controller.machines.delete(machine, call.when, call.actor)
        return Answer(200)

    def waits(self, asked: Asked) -> bool:
        """May a host have to be waited for? What need not is one transaction. Raises NotReady."""
        waits = asked.action.waits
        return waits != NEVER and (waits != IF_KEPT or self._on_host(asked) is not asked.command)

    def _on_host(self, asked: Asked) -> Any:
        """The command with its host's part. Raises NotReady."""
        return self._controller.machines.errands.on_host(asked.command)

    def of_batch(self, asked: Asked) -> Any:
        """An action as a part of an atomic batch, with its host's part, which is not waited for. Raises NotReady,
        Invalid."""
        command = self._on_host(asked)
        if command is not asked.command and getattr(asked.command, "addresses", "") == "keep":
            raise Invalid(
                f"To go back with the addresses of now, the host of '{asked.machine}' has to rewrite its checkpoint "
                "first: restore it by itself.",
                code="OperationNotSupported",
            )
        return command

    async def delete_checkpoint(self, call: Call, machine: str, checkpoint: str) -> Answer:
        """DELETE of a checkpoint that the machine's host has too. Raises as handle()."""
        await self._controller.machines.checkpoints.delete(machine, checkpoint, call.when, call.actor)
        return Answer(200)

    async def _work(self, call: Call, asked: Asked) -> Answer:
        members = await self.perform(asked, call.actor)
        return json_answer(members, headers=((b"etag", members["etag"].encode()),))

    async def perform(self, asked: Asked, actor: Actor) -> Members:
        """Carry out an action that hosts may have to be waited for; the machine. Raises as handle()."""
        machines, command = self._controller.machines, asked.command
        report: Sequence[Any] = ()
        if isinstance(command, SetPower):
            act = {"Running": machines.start, "Off": machines.stop, "Saved": machines.save}[command.power]
            await act(command.machine, actor)
        elif isinstance(command, Restore):
            _, report = await machines.checkpoints.restore(
                command.machine, command.checkpoint, command.addresses, command.if_taken, actor
            )
        elif isinstance(command, TakeCheckpoint | ExportMachine):
            await machines.checkpoints.capture(command, actor)
        elif isinstance(command, Clone):
            await machines.clone(command, actor)
        elif isinstance(command, RewriteCheckpoints):
            report = await machines.checkpoints.rewrite(command, actor)
        elif isinstance(command, RenewMac):
            _, report = await machines.checkpoints.renew(
                command.machine, command.interface, command.mac_address, command.force, actor
            )
        else:
            if self._controller.state.get(SERVERS.name, command.server) is None:
                # before anybody asks whether its agent is there
                raise InvalidReference(no_server(command.server), target="server")
            if isinstance(command, BeginMove):
                await machines.migrate(command.machine, command.server, actor, command.force)
            else:
                await machines.failover(command.machine, command.server, asked.body.fenced, actor)
        members = self._members(asked, report)
        if members is None:
            raise NotFound(f"The machine '{asked.machine}' was deleted meanwhile.")
        return members

    async def _once(self, request_id: str | None, work: Coroutine[Any, Any, Answer]) -> Answer:
        """A retry that comes while the first attempt still runs gets the first one's outcome."""
        if request_id is None:
            return await work
        task = self._running.get(request_id)
        if task is not None:
            work.close()
        else:
            task = self._running[request_id] = asyncio.create_task(self._keeping(request_id, work))
            task.add_done_callback(lambda done: self._ended(request_id, done))
        return await asyncio.shield(task)

    async def _keeping(self, request_id: str, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Keep the answer before it is given: an action is several commits, so it cannot go with one of them.

        After a crash before this the retry acts on what the first attempt reached, and gets an answer of its own.
        """
        answer = await work
        self._controller.keep_answer(keep(request_id, answer))
        return answer

    def _ended(self, request_id: str, task: "asyncio.Task[Answer]") -> None:
        del self._running[request_id]
        if not task.cancelled():
            # whoever asked may have gone; then nobody else would take the error
            task.exception()

    def _dry(self, asked: Asked) -> Answer:
        if isinstance(asked.command, RewriteCheckpoints):
            rewrites = self._controller.machines.checkpoints.rewrites(asked.command)
            return json_answer(
                {"dryRun": True, "outcome": "done", "changes": [], "properties": _report(asked, rewrites)}
            )
        decision = self.dry_run(asked)
        answer: Members = {"dryRun": True, "outcome": decision.outcome, "changes": readable(decision.changes)}
        return json_answer(answer | reported(asked, decision))

    def dry_run(self, asked: Asked) -> Decision:
        """What an action would come to. Raises Refusal."""
        if isinstance(asked.command, Restore | RenewMac):
            # as if the machine were stopped for it and started again, where that is what would be done
            return self._controller.machines.checkpoints.dry_run(asked.command)
        return self._controller.dry_run(self._on_host(asked))

    def _answer(self, asked: Asked, decision: Decision) -> Answer:
        members = self.members(asked, decision)
        assert members is not None
        return json_answer(members, headers=((b"etag", members["etag"].encode()),))

    def members(self, asked: Asked, decision: Decision) -> Members | None:
        """The machine as an action on it is answered, its changes in the state; None if it has gone since."""
        return self._members(asked, decision.report)

    def _members(self, asked: Asked, report: Sequence[Any]) -> Members | None:
        machine = self._controller.state.get(VIRTUAL_MACHINES.name, asked.made)
        if machine is None:
            return None
        members = self._answers.of(VIRTUAL_MACHINES, machine)
        members["properties"] |= _report(asked, report)
        return members


def reported(asked: Asked, decision: Decision) -> Members:
    """What a dry run says about each interface: `properties`, as in the real answer; nothing for other actions."""
    found = _report(asked, decision.report)
    return {"properties": found} if found else {}


def _report(asked: Asked, report: Sequence[Any]) -> Members:
    """What became of each interface, under the name of the action."""
    if isinstance(asked.command, Restore | RenewMac | RewriteCheckpoints):
        return {asked.action.name: msgspec.to_builtins(tuple(report))}
    return {}
