"""POST /weft/v1/virtualMachines/{id}/{action}: start, stop, save, migrate. Called by weft.api.routes.

Each answers 200 with the machine when it is so on the hosts, or a typed error and nothing has changed. A retry with
the same x-ms-client-request-id gets the same answer, also after a restart; an error is not kept, its retry acts anew.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from weft.api import convert
from weft.api.answers import Answers
from weft.api.call import Answer, Call, json_answer
from weft.api.changes import readable
from weft.api.faults import MethodNotAllowed, UnknownPath
from weft.api.resources import keep, kept, kept_id, wait_of
from weft.control.controller import Controller
from weft.core.commands import BeginMove, SetPower
from weft.model.errors import Invalid, InvalidReference, NotFound
from weft.model.kinds import SERVERS, VIRTUAL_MACHINES

POWERS = {"start": "Running", "stop": "Off", "save": "Saved"}
ACTIONS = (*POWERS, "migrate")
LATER = ("clone", "checkpoint", "restore", "export", "import", "failover", "renewmac")


class MachineActions:
    """The handler. One per app."""

    def __init__(self, controller: Controller, answers: Answers) -> None:
        self._controller = controller
        self._answers = answers
        self._running: dict[str, asyncio.Task[Answer]] = {}

    async def handle(self, call: Call, machine: str, action: str) -> Answer:
        """Carry out an action. Raises Refusal, NotReady, WaitTimedOut."""
        verb = action.lower()
        if verb in LATER:
            raise Invalid(f"'{action}' is not served yet. Served: {', '.join(ACTIONS)}.", code="OperationNotSupported")
        if verb not in ACTIONS:
            raise UnknownPath(f"Machines have no action '{action}'. Served: {', '.join(ACTIONS)}.")
        if call.method != "POST":
            raise MethodNotAllowed(call.method, ("POST",))
        dry = call.flag("dryRun")
        wait_s = wait_of(call)
        request_id = None if dry else kept_id(call)
        before = self._controller.answer_of(request_id) if request_id is not None else None
        if before is not None:
            answer = kept(before)
        else:
            if self._controller.state.get(VIRTUAL_MACHINES.name, machine) is None:
                raise NotFound(f"There is no machine '{machine}'.", target=f"/weft/virtualMachines/{machine}")
            body = convert.parse_object(call.body) if call.body.strip() else {}
            if dry:
                return self._dry(machine, verb, body)
            answer = await self._once(request_id, self._work(call, machine, verb, body))
        if wait_s is not None:
            await self._controller.wait_applied(self._controller.state.revision, wait_s)
        return answer

    async def _work(self, call: Call, machine: str, verb: str, body: dict[str, Any]) -> Answer:
        machines = self._controller.machines
        if verb == "migrate":
            server, force = _destination(body)
            if self._controller.state.get(SERVERS.name, server) is None:
                # before anybody asks whether its agent is there
                raise InvalidReference(f"There is no server '{server}'.", target="server")
            resource = await machines.migrate(machine, server, call.actor, force)
        else:
            act = {"start": machines.start, "stop": machines.stop, "save": machines.save}[verb]
            resource = await act(machine, call.actor)
        return json_answer(self._answers.of(VIRTUAL_MACHINES, resource), headers=((b"etag", resource.etag.encode()),))

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

    def _dry(self, machine: str, verb: str, body: dict[str, Any]) -> Answer:
        command = BeginMove(machine, *_destination(body)) if verb == "migrate" else SetPower(machine, POWERS[verb])
        decision = self._controller.dry_run(command)
        return json_answer({"dryRun": True, "outcome": decision.outcome, "changes": readable(decision.changes)})


def _destination(body: dict[str, Any]) -> tuple[str, bool]:
    members = {name.lower(): value for name, value in body.items()}
    server = members.get("server")
    ref = server.get("resourceRef") if isinstance(server, dict) else server
    if not isinstance(ref, str) or not ref:
        raise Invalid('Name the server: {"server": {"resourceRef": "/servers/host2"}}.', target="server")
    force = members.get("force", False)
    if str(force).lower() not in ("true", "false"):
        raise Invalid("force must be true or false.", target="force")
    return ref.rstrip("/").rsplit("/", 1)[-1], str(force).lower() == "true"
