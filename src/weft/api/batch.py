"""POST /weft/v1/batch: many writes as one transaction, or each for itself. Called by weft.api.routes.

Requests are PUTs and DELETEs of resources and POSTs of machines' actions that need not wait for a host. With `atomic`
(the default) a refusal refuses all and its target begins with `requests[N]`. Without, each request has its own status
and, under x-ms-client-request-id, its own answer for a retry; a failure of ours is one request's alone. References
among the requests are resolved whatever their order.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from weft.api import convert, faults
from weft.api.actions import Asked, action_of, check_batched, place_of_action, understand
from weft.api.call import Answer, Call, encode, json_answer
from weft.api.changes import readable
from weft.api.machines import MachineActions, reported
from weft.api.places import Place, place_of
from weft.api.resources import Resources, check_method, kept_id, methods_of, wait_of
from weft.control.controller import Controller
from weft.core.commands import Batch, Decision, Delete, Path, Preconditions, Put
from weft.model.errors import Invalid, InvalidRequestFormat, Refusal, WeftError
from weft.model.kinds import KINDS, VIRTUAL_MACHINES
from weft.store.store import Answer as KeptAnswer

log = logging.getLogger(__name__)

MAX_REQUESTS = 10_000
"""A second's work or two, in which nobody else writes."""

_RANK = {kind.name: at for at, kind in enumerate(KINDS)}


class _Request(msgspec.Struct, rename="camel"):
    method: str
    path: str
    body: msgspec.Raw = msgspec.Raw(b"")
    if_match: str | None = None
    if_none_match: str | None = None


class _Requests(msgspec.Struct):
    requests: list[_Request]
    atomic: bool = True


_decode = msgspec.json.Decoder(_Requests, strict=False).decode


class _Write(msgspec.Struct):
    """One request understood: a place to put or delete, or an action on a machine."""

    command: Any
    place: Place | None = None
    asked: Asked | None = None


class Batches:
    """The handler. One per app."""

    def __init__(self, controller: Controller, resources: Resources, actions: MachineActions) -> None:
        self._controller = controller
        self._resources = resources
        self._actions = actions

    async def handle(self, call: Call) -> Answer:
        """Answer {"responses": [{"status", "body"}, ...]}, in the order of the requests."""
        batch = _read(call.body)
        wait_s = wait_of(call)
        if not batch.atomic:
            return await self._each(call, batch.requests, wait_s)
        writes = _understand_all(batch.requests)
        command = Batch(tuple(self._command(at, write) for at, write in enumerate(writes)))
        try:
            if call.flag("dryRun"):
                return self._dry(writes, command)
            return await self._resources.write(call, command, lambda decision: self._answer(writes, decision))
        except Refusal as fault:
            if fault.position is not None:
                _name(fault, fault.position)
            raise

    def _command(self, at: int, write: _Write) -> Any:
        """With the part of a machine's host. Raises a Refusal whose target names the request."""
        try:
            return write.command if write.asked is None else self._actions.of_batch(write.asked)
        except Refusal as fault:
            _name(fault, at)
            raise

    def _answer(self, writes: Sequence[_Write], decision: Decision) -> Answer:
        parts = zip(writes, decision.parts, strict=True)
        return json_answer({"responses": [self._response(write, part) for write, part in parts]})

    def _response(self, write: _Write, decision: Decision) -> dict[str, Any]:
        if write.asked is not None:
            return {"status": 200, "body": self._actions.members(write.asked, decision)}
        if write.place is None or isinstance(write.command, Delete):
            return {"status": 200 if decision.outcome == "deleted" else 204, "body": None}
        status, body = self._resources.put_members(write.place, decision)
        return {"status": status, "body": body}

    def _dry(self, writes: Sequence[_Write], command: Batch) -> Answer:
        decision = self._controller.dry_run(command)
        outcomes = [
            {
                "status": 201 if part.outcome == "created" and write.asked is None else 200,
                "body": (reported(write.asked, part) or None) if write.asked is not None else None,
                "outcome": part.outcome,
            }
            for write, part in zip(writes, decision.parts, strict=True)
        ]
        return json_answer({"dryRun": True, "responses": outcomes, "changes": readable(decision.changes)})

    async def _each(self, call: Call, requests: Sequence[_Request], wait_s: float | None) -> Answer:
        dry = call.flag("dryRun")
        request_id = None if dry else kept_id(call)
        responses: list[Any] = [None] * len(requests)
        pending: list[tuple[int, _Write]] = []
        for at, request in enumerate(requests):
            try:
                pending.append((at, _understand(request)))
            except Exception as fault:
                responses[at] = self._failed(call, at, fault)
        pending.sort(key=lambda numbered: _order(numbered[1]))

        async def carry_out(at: int, write: _Write) -> None:
            try:
                if dry:
                    responses[at] = self._dry_one(write)
                else:
                    responses[at] = await self._one(call, write, None if request_id is None else f"{request_id} {at}")
            except Exception as fault:
                responses[at] = self._failed(call, at, fault)

        for together in _turns(pending, self._acts):
            # tasks begin in this order, so the writer decides in this order, many to a commit
            await asyncio.gather(*(carry_out(at, write) for at, write in together))
        if wait_s is not None and not dry:
            await self._controller.wait_applied(self._controller.state.revision, wait_s)
        return json_answer({"responses": responses} | ({"dryRun": True} if dry else {}))

    def _acts(self, write: _Write) -> bool:
        """May a host have to be waited for?"""
        try:
            return write.asked is not None and self._actions.waits(write.asked)
        except Refusal:
            # it will be told so in its turn
            return True

    def _dry_one(self, write: _Write) -> dict[str, Any]:
        if write.asked is not None:
            decision = self._actions.dry_run(write.asked)
            return {"status": 200, "body": {"changes": readable(decision.changes)} | reported(write.asked, decision)}
        decision = self._controller.dry_run(write.command)
        return {"status": 200, "body": {"changes": readable(decision.changes)}}

    async def _one(self, call: Call, write: _Write, request_id: str | None) -> Any:
        """One response; under a request id that was there before the one that was given then. Raises as submit()."""
        if write.asked is not None and self._actions.waits(write.asked):
            return await self._waiting(call, write.asked, request_id)
        if request_id is None:
            submitted = await self._controller.submit(write.command, call.actor)
        else:
            submitted = await self._controller.submit(
                write.command,
                call.actor,
                request_id,
                lambda decision: KeptAnswer(request_id, 200, encode(self._response(write, decision)), ""),
            )
        if submitted.decision is not None:
            self._resources.metrics.decided(submitted.decision.changes)
        if submitted.answer is not None:
            return msgspec.Raw(submitted.answer.body)
        assert submitted.decision is not None
        return self._response(write, submitted.decision)

    async def _waiting(self, call: Call, asked: Asked, request_id: str | None) -> Any:
        """An action that may stop a running machine and start it again."""
        before = self._controller.answer_of(request_id) if request_id is not None else None
        if before is not None:
            return msgspec.Raw(before.body)
        response = {"status": 200, "body": await self._actions.perform(asked, call.actor)}
        if request_id is not None:
            self._controller.keep_answer(KeptAnswer(request_id, 200, encode(response), ""))
        return response

    def _failed(self, call: Call, at: int, fault: Exception) -> dict[str, Any]:
        """The response of a request that was refused, or that we failed on: the others go on."""
        if isinstance(fault, WeftError):
            self._resources.metrics.refused(fault.code)
            return {"status": fault.status, "body": faults.body_of(fault)}
        log.error("request %s: requests[%d] of the batch failed", call.request_id, at, exc_info=fault)
        answer = faults.unexpected(call.request_id)
        return {"status": answer.status, "body": msgspec.Raw(answer.body)}


def _read(body: bytes) -> _Requests:
    try:
        batch = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidRequestFormat(
            f'A batch is {{"atomic": true, "requests": [{{"method", "path", "body"}}, ...]}}: {fault}.'
        ) from None
    if len(batch.requests) > MAX_REQUESTS:
        raise Invalid(f"A batch holds at most {MAX_REQUESTS} requests, this one {len(batch.requests)}. Send several.")
    return batch


def _understand_all(requests: Sequence[_Request]) -> list[_Write]:
    """Read every request. Raises the first refusal, its target naming the request."""
    writes = []
    for at, request in enumerate(requests):
        try:
            writes.append(_understand(request))
        except WeftError as fault:
            _name(fault, at)
            raise
    return writes


def _name(fault: WeftError, at: int) -> None:
    """Let the target name the request; what is within its body follows a dot, another resource a space."""
    between = " " if (fault.target or "").startswith("/") else "."
    fault.target = f"requests[{at}]{between}{fault.target}" if fault.target else f"requests[{at}]"


def _understand(request: _Request) -> _Write:
    path_text, _, query = request.path.partition("?")
    if query:
        raise Invalid(
            f"A request of a batch takes no query, such as ?{query}: dryRun and wait are asked of the whole batch.",
            target="path",
        )
    segments = [part for part in path_text.split("/") if part]
    prefix = segments[0].lower() if segments else ""
    if prefix not in ("networking", "weft") or len(segments) < 3:
        raise Invalid(f"'{request.path}' is no path of a resource, such as /networking/v1/networkInterfaces/n1.")
    method = request.method.upper()
    if method == "POST":
        return _understand_action(request, prefix, segments[2:])
    place = place_of(prefix, segments[2:])
    if method == "GET":
        allowed = tuple(each for each in methods_of(place) if each != "GET")
        raise faults.MethodNotAllowed("GET in a batch", allowed or ("GET outside of a batch",))
    check_method(method, place, f"{request.method} in a batch")
    path: Path | None = place.path
    assert path is not None
    when = Preconditions(request.if_match, request.if_none_match)
    if method == "DELETE":
        return _Write(Delete(path, when), place)
    return _Write(Put(path, convert.read(place.kind, bytes(request.body), place.resource_id), when), place)


def _understand_action(request: _Request, prefix: str, segments: list[str]) -> _Write:
    found = None
    if prefix == "weft" and segments[0].lower() == VIRTUAL_MACHINES.name.lower():
        found = place_of_action("POST", segments)
    if found is None:
        raise faults.MethodNotAllowed("POST in a batch", ("it for the actions of machines",))
    if request.if_match is not None or request.if_none_match is not None:
        raise Invalid("An action takes no ifMatch and no ifNoneMatch.", target="ifMatch")
    check_batched(action_of(*found))
    asked = understand(*found, bytes(request.body))
    if getattr(asked.body, "dry_run", False):
        raise Invalid("dryRun is for the whole batch: POST /weft/v1/batch?dryRun=true.", target="dryRun")
    return _Write(asked.command, asked=asked)


def _turns(pending: Sequence[tuple[int, _Write]], acts: Callable[[_Write], bool]) -> Iterator[list[tuple[int, _Write]]]:
    """What can go side by side. An action that may wait for a host looks at its machine when it begins: what comes
    before it must be done by then, also another one on that machine, and what comes after must not be."""
    together: list[tuple[int, _Write]] = []
    acting: set[str] = set()
    for at, write in pending:
        machine = write.asked.machine.lower() if write.asked is not None and acts(write) else ""
        if together and (bool(machine) != bool(acting) or machine in acting):
            yield together
            together, acting = [], set()
        together.append((at, write))
        if machine:
            acting.add(machine)
    if together:
        yield together


def _order(write: _Write) -> tuple[int, int]:
    """Puts as they refer to each other, actions as they come, then deletes the other way round."""
    if write.place is None or write.place.path is None:
        return 1, 0
    path = write.place.path
    rank = _RANK[path.kind]
    return (0, rank * 8 + len(path.below)) if isinstance(write.command, Put) else (2, -rank * 8 - len(path.below))
