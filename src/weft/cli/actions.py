"""Asks machines for an action and shows what came of it. Called by the commands of `weft vm`.

An action answers with the machine as it is then; with `--dry-run` the controller decides it, says what would change,
and keeps nothing.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer

from weft.cli import complete, listing, show, texts
from weft.cli.desk import run
from weft.cli.follow import differing
from weft.cli.names import by_name, last_of, machine_ref
from weft.cli.show import Format
from weft.model.errors import WaitTimedOut, WeftError
from weft.model.kinds import VIRTUAL_MACHINES, Kind
from weft.wire.client import WEFT, Client, Write, path_of

Name = Annotated[str, typer.Argument(help="The machine.", autocompletion=complete.machines)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing.")]

NOTHING_CHANGED = "dry run, nothing was changed"


class Action(msgspec.Struct, frozen=True):
    """One machine asked for one thing."""

    machine: str
    verb: str
    body: dict[str, Any] = {}

    @property
    def path(self) -> str:
        return f"{path_of(machine_ref(self.machine))}/{self.verb}"

    @property
    def request(self) -> dict[str, Any]:
        """As an element of a batch."""
        return {"method": "POST", "path": self.path, "body": self.body}


class Ask(msgspec.Struct, frozen=True):
    """How it is to be done and shown."""

    output: Format
    controller: str
    dry_run: bool = False

    @property
    def write(self) -> Write:
        return Write(dry_run=self.dry_run)


class NotAll(WeftError):
    """Several machines were asked one by one; some refused, the others did it."""

    def __init__(self, refused: Iterable[tuple[str, WeftError]]) -> None:
        found = list(refused)
        super().__init__("\n".join(f"{name}: {error.message}" for name, error in found), code=found[0][1].code)
        self.status = found[0][1].status


def act(ctx: typer.Context, action: Action, ask: Ask) -> None:
    """POST an action and show the machine as it is now. Leaves with an exit code."""

    async def work(client: Client) -> None:
        answer = await carry_out(client, action, ask)
        print_answer(VIRTUAL_MACHINES, answer, ask)
        for words in troubles(answer) if action.verb == "start" else ():
            show.say(f"note: {words}")

    run(ctx, ask.controller, work)


def troubles(answer: Any) -> list[str]:
    """What keeps its host from doing all of it, though the machine runs; nothing of a dry run."""
    found = (answer.get("properties") or {}).get("configurationState") or {}
    failing = found.get("status") == "Failure"
    return [str(each["message"]) for each in found.get("detailedInfo") or ()] if failing else []


async def carry_out(client: Client, action: Action, ask: Ask) -> Any:
    """The body of the answer."""
    return (await client.post(action.path, action.body, ask.write)).body


async def each(client: Client, actions: Iterable[Action], ask: Ask) -> list[Any]:
    """One after another; what refuses, or is not done in time, is told at the end. Raises NotAll after the others have
    been shown."""
    answers: list[Any] = []
    refused: list[tuple[str, WeftError]] = []
    for action in actions:
        try:
            answers.append(await carry_out(client, action, ask))
        except WeftError as error:
            if error.status >= 500 and error.code != WaitTimedOut.code:
                raise
            refused.append((last_of(action.machine), error))
    if ask.dry_run:
        changes = [change for answer in answers for change in answer.get("changes") or ()]
        print_dry({"dryRun": True, "changes": changes}, ask.output)
    elif answers:
        listing.several(VIRTUAL_MACHINES, answers, ask.output)
    if refused:
        raise NotAll(refused)
    return answers


def print_answer(kind: Kind, answer: Any, ask: Ask) -> None:
    """A resource, or what a dry run says of it."""
    if ask.dry_run:
        print_dry(answer, ask.output)
    else:
        listing.one(kind, answer, ask.output)


def print_deleted(what: str, answer: Any, ask: Ask) -> None:
    """That it is gone, or what a dry run says of it."""
    if ask.dry_run:
        print_dry(answer, ask.output)
    else:
        print(f"{what} deleted")


def print_dry(answer: Any, output: Format) -> None:
    """The changes that a decision would make: resources with their members, addresses with their states."""
    changes = answer.get("changes") or ()
    if output in (Format.json, Format.yaml):
        show.as_json(answer) if output is Format.json else show.as_yaml([answer])
        return
    if output is Format.name:
        for change in changes:
            print(_named(change))
        return
    if changes:
        show.table(["action", "what", "change"], [_row(change) for change in changes])
    show.say(NOTHING_CHANGED)


def _named(change: Any) -> str:
    return str(change.get("resourceRef") or change.get("address")).strip("/").removeprefix("weft/")


def _row(change: Any) -> list[Any]:
    if "address" in change:
        holders = ", ".join(last_of(ref) for ref in change.get("holders") or ())
        return [change["action"], change["address"], f"{change['before']} -> {change['after']}  {holders}".rstrip()]
    return [change["action"], _named(change), "; ".join(differing(change))]


async def machines_on(client: Client, server: str) -> list[Any]:
    """Machines of a host by their names; without one all."""
    found = by_name(await client.list_all(path_of("/virtualMachines")))
    wanted = last_of(server).lower()
    return [vm for vm in found if not wanted or texts.name_of(vm["properties"].get("server")).lower() == wanted]


def collection(machine: str, kind: Kind) -> str:
    """Where a machine's checkpoints or exports are served."""
    return f"{WEFT}/{VIRTUAL_MACHINES.name}/{last_of(machine)}/{kind.name}"
