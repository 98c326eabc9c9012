"""Whole desired state: what of a file is new, what differs, what is there already; and carrying it out as one batch.

Promises: a second apply of the same file sends nothing. Faults and refusals leave the controller as it was, but for the
moves of running machines: those are actions, carried out one by one after the batch.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from weft.cli.compare import Difference, compare
from weft.cli.documents import Document, Documents
from weft.cli.faults import BadFile
from weft.cli.references import dangling, normal_ref
from weft.cli.refused import RefusedDocument
from weft.model.errors import WeftError
from weft.model.kinds import KINDS, VIRTUAL_MACHINES
from weft.wire.client import Client, Write, path_of


class Step(msgspec.Struct, frozen=True):
    """What happens to one document: `action` is create, change, move or unchanged."""

    document: Document
    action: str
    differences: tuple[Difference, ...] = ()
    put: dict[str, Any] | None = None
    """The body that is sent, None for none; of a machine that moves it has the server where it still runs."""


class Plan(msgspec.Struct, frozen=True):
    """In the order in which the kinds refer to each other. `done` once it was carried out."""

    steps: tuple[Step, ...]
    done: bool = False

    @property
    def work(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.action != "unchanged")

    def count(self, action: str) -> int:
        return sum(step.action == action for step in self.steps)


class RefusedMoves(WeftError):
    """The controller refused to move running machines of a file; each is named, all else was applied."""

    def __init__(self, refused: list[RefusedDocument], dry_run: bool) -> None:
        lines = [each.message for each in refused]
        if not dry_run:
            lines.append("these machines run where they were; everything else of the file is applied")
        super().__init__("\n".join(lines), code=refused[0].code, target=refused[0].target)
        self.status = refused[0].status


async def apply(client: Client, documents: Documents, dry_run: bool = False, wait_s: float = 0.0) -> Plan:
    """Make the controller's state what the file says. Raises BadFile, RefusedDocument, or what the client raises.

    With `dry_run` the controller decides the same batch and keeps nothing, so its refusals show too.
    """
    plan = await make_plan(client, documents)
    write = Write(dry_run=dry_run, wait_s=0.0 if dry_run else wait_s)
    puts = [step for step in plan.work if step.put is not None]
    if puts:
        requests = [request("PUT", step.document, step.put) for step in puts]
        await send(client, requests, [step.document for step in puts], write)
    await carry_out(client, [step for step in plan.work if step.action == "move"], write)
    return Plan(plan.steps, done=not dry_run)


async def carry_out(client: Client, moves: Iterable[Step], write: Write) -> None:
    """Move running machines, each to where its document has it. Raises RefusedMoves when all have been tried.

    A dry run asks the controller too, but for a server that the same file makes: it is not there yet.
    """
    refused: list[RefusedDocument] = []
    for step in moves:
        server = step.document.body["properties"]["server"]
        if write.dry_run and await client.find(path_of(normal_ref(server["resourceRef"]))) is None:
            continue
        try:
            await client.post(f"{path_of(step.document.ref)}/migrate", {"server": server}, write)
        except WeftError as refusal:
            if refusal.status >= 500:
                raise
            refused.append(RefusedDocument(step.document, refusal, "server"))
    if refused:
        raise RefusedMoves(refused, write.dry_run)


async def make_plan(client: Client, documents: Documents) -> Plan:
    """Compare with the controller; changes nothing. Raises BadFile for references to nothing."""
    faults = await dangling(client, documents)
    if faults:
        raise BadFile(faults)
    return Plan(tuple([await _step(client, document) for document in in_order(documents)]))


def in_order(documents: Documents) -> list[Document]:
    """By kind as they refer to each other, within a kind as in the file."""
    rank = {kind.name: i for i, kind in enumerate(KINDS)}
    return sorted(documents.resources, key=lambda document: rank[document.kind.name])


def request(method: str, document: Document, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """An element of a batch."""
    element: dict[str, Any] = {"method": method, "path": path_of(document.ref)}
    return element | ({} if body is None else {"body": body})


async def send(client: Client, requests: list[dict[str, Any]], documents: Iterable[Document], write: Write) -> None:
    """One atomic batch; a refusal is brought back to the document that caused it."""
    try:
        await client.batch(requests, write)
    except WeftError as refusal:
        document = _culprit(list(documents), refusal)
        if document is None or refusal.status >= 500:
            raise
        raise RefusedDocument(document, refusal) from refusal


def _culprit(documents: list[Document], refusal: WeftError) -> Document | None:
    """The document that a batch's refusal names: `requests[3]`, `requests/3`, or its resourceRef in the target."""
    target = refusal.target or ""
    index = re.match(r"requests?[\[/](\d+)", target)
    if index and int(index[1]) < len(documents):
        return documents[int(index[1])]
    for document in documents:
        if normal_ref(target).startswith(normal_ref(document.ref)):
            return document
    return documents[0] if len(documents) == 1 else None


async def _step(client: Client, document: Document) -> Step:
    present = await client.find(path_of(document.ref))
    if present is None:
        return Step(document, "create", put=document.body)
    differences = tuple(compare(document, present))
    if not differences:
        return Step(document, "unchanged")
    if not _is_move(document, differences, present):
        return Step(document, "change", differences, document.body)
    stays = {**document.body["properties"], "server": present["properties"]["server"]}
    put = {**document.body, "properties": stays} if len(differences) > 1 else None
    return Step(document, "move", differences, put)


def _is_move(document: Document, differences: Iterable[Difference], present: Any) -> bool:
    """Whether a running machine is to be elsewhere: the controller takes that as an action, not as a new body."""
    moved = any(d.member.startswith("server") and d.before and d.after for d in differences)
    return moved and document.kind is VIRTUAL_MACHINES and present["properties"].get("powerState") == "Running"


def deletion_order(documents: Documents) -> list[Document]:
    """Who refers first, what is referred to last; singletons cannot be deleted."""
    return [document for document in reversed(in_order(documents)) if not document.kind.singleton]
