"""POST /weft/v1/batch: many writes as one transaction, or each for itself. Called by weft.api.routes.

With `atomic` (the default) a refusal refuses all and its target begins with `requests[N]`. Without, each request has
its own status and, under x-ms-client-request-id, its own answer for a retry; a failure of ours is one request's alone.
References among the requests are resolved whatever their order.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from weft.api import convert, faults
from weft.api.call import Answer, Call, encode, json_answer
from weft.api.changes import readable
from weft.api.places import Place, place_of
from weft.api.resources import Resources, kept_id, methods_of, wait_of
from weft.control.controller import Controller
from weft.core.commands import Batch, Decision, Delete, Path, Preconditions, Put
from weft.model.errors import Invalid, InvalidRequestFormat, Refusal, WeftError
from weft.model.kinds import KINDS
from weft.store.store import Answer as KeptAnswer

log = logging.getLogger(__name__)

MAX_REQUESTS = 100_000

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
    """One request understood."""

    place: Place
    command: Put | Delete


class Batches:
    """The handler. One per app."""

    def __init__(self, controller: Controller, resources: Resources) -> None:
        self._controller = controller
        self._resources = resources

    async def handle(self, call: Call) -> Answer:
        """Answer {"responses": [{"status", "body"}, ...]}, in the order of the requests."""
        batch = _read(call.body)
        wait_s = wait_of(call)
        if not batch.atomic:
            return await self._each(call, batch.requests, wait_s)
        writes = _understand_all(batch.requests)
        command = Batch(tuple(write.command for write in writes))
        try:
            if call.flag("dryRun"):
                return self._dry(writes, command)
            return await self._resources.write(call, command, lambda decision: self._answer(writes, decision))
        except Refusal as fault:
            if fault.position is not None:
                _name(fault, fault.position)
            raise

    def _answer(self, writes: Sequence[_Write], decision: Decision) -> Answer:
        parts = zip(writes, decision.parts, strict=True)
        return json_answer({"responses": [self._response(write, part) for write, part in parts]})

    def _response(self, write: _Write, decision: Decision) -> dict[str, Any]:
        if isinstance(write.command, Delete):
            return {"status": 200 if decision.outcome == "deleted" else 204, "body": None}
        status, body = self._resources.put_members(write.place, decision)
        return {"status": status, "body": body}

    def _dry(self, writes: Sequence[_Write], command: Batch) -> Answer:
        decision = self._controller.dry_run(command)
        outcomes = [
            {"status": 201 if part.outcome == "created" else 200, "body": None, "outcome": part.outcome}
            for _, part in zip(writes, decision.parts, strict=True)
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

        # tasks begin in this order, so the writer decides in this order, many to a commit
        await asyncio.gather(*(carry_out(at, write) for at, write in pending))
        if wait_s is not None and not dry:
            await self._controller.wait_applied(self._controller.state.revision, wait_s)
        return json_answer({"responses": responses} | ({"dryRun": True} if dry else {}))

    def _dry_one(self, write: _Write) -> dict[str, Any]:
        decision = self._controller.dry_run(write.command)
        return {"status": 200, "body": {"changes": readable(decision.changes)}}

    async def _one(self, call: Call, write: _Write, request_id: str | None) -> Any:
        """One response; under a request id that was there before the one that was given then. Raises as submit()."""
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
    segments = [part for part in request.path.partition("?")[0].split("/") if part]
    prefix = segments[0].lower() if segments else ""
    if prefix not in ("networking", "weft") or len(segments) < 3:
        raise Invalid(f"'{request.path}' is no path of a resource, such as /networking/v1/networkInterfaces/n1.")
    place = place_of(prefix, segments[2:])
    method = request.method.upper()
    allowed = tuple(each for each in methods_of(place) if each != "GET")
    if method not in allowed:
        raise faults.MethodNotAllowed(f"{request.method} in a batch", allowed or ("GET outside of a batch",))
    path: Path | None = place.path
    assert path is not None
    when = Preconditions(request.if_match, request.if_none_match)
    if method == "DELETE":
        return _Write(place, Delete(path, when))
    return _Write(place, Put(path, convert.read(place.kind, bytes(request.body), place.resource_id), when))


def _order(write: _Write) -> tuple[int, int]:
    """Puts as they refer to each other, then deletes the other way round."""
    path = write.command.path
    rank = _RANK[path.kind]
    return (0, rank * 8 + len(path.below)) if isinstance(write.command, Put) else (1, -rank * 8 - len(path.below))
