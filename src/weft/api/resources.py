"""GET, PUT and DELETE of every resource, child and collection, under both prefixes, once for all kinds.

Called by weft.api.app. Promises the statuses and preconditions of MS-NCNBI 1.3.1.1, synchronously: what is answered is
durable. Knows no rule of any resource; core.decide does.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from weft.api import convert
from weft.api.answers import Answers, Members
from weft.api.call import Answer, Call, Headers, encode, json_answer
from weft.api.changes import readable
from weft.api.faults import MethodNotAllowed
from weft.api.metrics import Metrics
from weft.api.places import Place, find
from weft.control.controller import Controller
from weft.core.commands import Command, Decision, Delete, Path, Preconditions, Put, RemoveServer
from weft.model.errors import Invalid, NotFound
from weft.model.kinds import BY_NAME, CHECKPOINTS, EXPORTS, RESERVATIONS, SERVERS, VIRTUAL_MACHINES
from weft.store.store import Answer as KeptAnswer

LISTS = ("GET",)
READS = ("GET",)
WRITES = ("GET", "PUT", "DELETE")
MADE = ("GET", "DELETE")
"""Of what actions make."""
SINGLETONS = ("GET", "PUT")

MAKERS = {
    CHECKPOINTS.name: "POST /weft/v1/virtualMachines/ID/checkpoint",
    EXPORTS.name: "POST /weft/v1/virtualMachines/ID/export",
    RESERVATIONS.name: "POST .../reserve of a macPool, an ipPool or a subnet",
}
"""Per kind that is made by an action: which."""

MAX_WAIT_S = 600.0

LIST_STEP = 500
"""Resources of a list that are encoded at one go: a few milliseconds."""


class Resources:
    """The handlers. One per app."""

    def __init__(self, controller: Controller, answers: Answers, metrics: Metrics) -> None:
        self._controller = controller
        self.metrics = metrics
        self._state = controller.state
        self._answers = answers

    async def handle(self, call: Call, place: Place) -> Answer:
        """Answer a request for a collection or resource. Raises Refusal and Unavailable."""
        check_method(call.method, place)
        if call.method == "PUT":
            return await self._put(call, place)
        if call.method == "DELETE":
            return await self._delete(call, place)
        return await self._list(place) if place.listed else self._get(place)

    def _get(self, place: Place) -> Answer:
        assert place.path is not None
        resource, ref = self._found(place.path)
        etag: str = resource.etag
        return json_answer(self._answers.of(place.kind, resource, ref), headers=_etag(etag))

    async def _list(self, place: Place) -> Answer:
        """Never paginated, as the specification's own server does not (note 3).

        A long list gives way to other requests in between: it has what was there when it began, with the computed
        members of a little later.
        """
        parent = ""
        if place.path is None:
            resources = sorted(self._state.all(place.kind.name), key=lambda each: each.resource_id.lower())
        elif place.kind.owner:
            resources = self._state.owned(place.kind.name, place.path.id)
            if not resources:
                # what outlived its owner is listed all the same
                self._found(place.path)
        else:
            found, parent = self._found(place.path)
            resources = list(getattr(found.properties, place.kind.member))
        pieces: list[bytes] = []
        for at in range(0, len(resources), LIST_STEP):
            if at:
                await asyncio.sleep(0)
            pieces.append(encode(self._answers.several(place.kind, resources[at : at + LIST_STEP], parent))[1:-1])
        return Answer(200, b'{"value":[' + b",".join(pieces) + b'],"nextLink":""}')

    def _found(self, path: Path) -> tuple[Any, str]:
        found = find(self._state, path)
        if found is None:
            raise NotFound(f"There is no {text_of(path)}.", target=text_of(path))
        return found

    async def _put(self, call: Call, place: Place) -> Answer:
        assert place.path is not None
        command = Put(place.path, convert.read(place.kind, call.body, place.resource_id), call.when)
        return await self.write(call, command, lambda decision: self.put_answer(place, decision))

    async def _delete(self, call: Call, place: Place) -> Answer:
        assert place.path is not None
        reason = call.query.get("reason", "") if call.query_string else ""
        fenced = bool(call.query_string) and call.flag("fenced")
        if not call.query_string or not call.flag("force"):
            if reason or fenced:
                word = "reason" if reason else "fenced"
                raise Invalid(f"?{word} goes with a removal of a server by force alone: add ?force=true.", target=word)
            return await self.write(call, Delete(place.path, call.when), delete_answer)
        if place.kind is VIRTUAL_MACHINES and not reason and not fenced:
            return await self.write(call, Delete(place.path, call.when, force=True), delete_answer)
        if place.kind is not SERVERS:
            raise Invalid(
                "?force is for servers that will not come back, and for machines that were taken in and run; nothing "
                "else is forced.",
                target="force",
            )
        if call.when != Preconditions():
            raise Invalid("A removal by force takes no If-Match: it is about what is gone, whatever its etag.")
        gone = self._state.get(SERVERS.name, place.path.id) is None
        if not gone:
            self._controller.machines.check_removal(place.path.id, fenced)
        command = Delete(place.path) if gone else RemoveServer(place.path.id, reason)
        return await self.write(call, command, delete_answer)

    def put_answer(self, place: Place, decision: Decision) -> Answer:
        """The answer to a PUT whose changes the state has."""
        status, members = self.put_members(place, decision)
        return json_answer(members, status, _etag(members["etag"]))

    def put_members(self, place: Place, decision: Decision) -> tuple[int, Members]:
        """Status and body of the answer to a PUT whose changes the state has."""
        resource, ref = decision.resource, ""
        assert resource is not None and place.path is not None
        if place.path.below:
            # the parent's spelling of its own id, which the URL may write in another case
            _, ref = self._found(place.path)
        return 201 if decision.outcome == "created" else 200, self._answers.of(place.kind, resource, ref)

    async def write(self, call: Call, command: Command, answer: Callable[[Decision], Answer]) -> Answer:
        """Submit a command as the request asks: dry, waiting for hosts, or plainly; a repeat gets its first answer."""
        if call.query_string and call.flag("dryRun"):
            return dry_answer(self._controller.dry_run(command))
        wait_s = wait_of(call)
        request_id = kept_id(call)
        if request_id is None:
            submitted = await self._controller.submit(command, call.actor)
            assert submitted.decision is not None
            result = answer(submitted.decision)
        else:
            submitted = await self._controller.submit(
                command, call.actor, request_id, lambda decision: keep(request_id, answer(decision))
            )
            assert submitted.answer is not None
            result = kept(submitted.answer)
        if submitted.decision is not None:
            self.metrics.decided(submitted.decision.changes)
        if wait_s is not None:
            await self._controller.wait_applied(submitted.revision, wait_s)
        return result


def wait_of(call: Call) -> float | None:
    """Seconds to wait for the hosts (?wait=hosts&timeout=30); None if it was not asked for. Raises Invalid."""
    if not call.query_string or "wait" not in call.query:
        return None
    if call.query["wait"].lower() != "hosts":
        raise Invalid(f"?wait={call.query['wait']}: only wait=hosts is known.", target="wait")
    return call.number("timeout", 30.0, MAX_WAIT_S)


def check_method(method: str, place: Place, named: str = "") -> None:
    """Raise MethodNotAllowed, naming the action where one makes what was asked for; `named` is for its message."""
    allowed = methods_of(place)
    if method not in allowed:
        fault = MethodNotAllowed(named or method, allowed)
        if method in ("PUT", "POST") and place.kind.made_by_actions:
            fault.message += f" {MAKERS[place.kind.name]} makes one."
        raise fault


def methods_of(place: Place) -> tuple[str, ...]:
    """What is served at a place."""
    if place.listed:
        return LISTS
    assert place.path is not None
    if BY_NAME[place.path.kind.lower()].singleton:
        return SINGLETONS
    if place.kind.made_by_actions:
        return MADE
    return WRITES if place.kind.child_actions else READS


def delete_answer(decision: Decision) -> Answer:
    """200 if there was something, 204 if not."""
    return Answer(200 if decision.outcome == "deleted" else 204)


def dry_answer(decision: Decision) -> Answer:
    """What a write would change."""
    return json_answer({"dryRun": True, "outcome": decision.outcome, "changes": readable(decision.changes)})


def text_of(path: Path) -> str:
    """The resourceRef as the client wrote it."""
    prefix = "/weft" if BY_NAME[path.kind.lower()].prefix == "weft" else ""
    return "/".join((f"{prefix}/{path.kind}/{path.id}", *(f"{name}/{child}" for name, child in path.below)))


def kept_id(call: Call) -> str | None:
    """The key under which the answer is kept for retries; None if the client sent no id.

    A retry is the same bytes to the same place. A client that uses one id for different requests is answered as if it
    had sent none, never with another request's answer.
    """
    client_id = call.client_request_id
    if client_id is None:
        return None
    content = "\n".join((call.method, "/".join(call.segments).lower(), call.query_string.decode("latin-1"))).encode()
    digest = blake2b(content + b"\n" + call.body, digest_size=16).hexdigest()
    return f"{client_id[:128]} {digest}"


def keep(request_id: str, answer: Answer) -> KeptAnswer:
    """An answer as it is kept for a retry."""
    etag = next((value.decode() for name, value in answer.headers if name == b"etag"), "")
    return KeptAnswer(request_id, answer.status, answer.body, etag)


def kept(answer: KeptAnswer) -> Answer:
    """An answer as it was given before."""
    return Answer(answer.status, answer.body, _etag(answer.etag))


def _etag(etag: str) -> Headers:
    return ((b"etag", etag.encode()),) if etag else ()
