"""`weft vm checkpoint`, `checkpoints`, `restore`, `delete-checkpoint`: a machine's addresses as they were."""

import enum
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from weft.cli import captures, complete, errands, listing, show
from weft.cli.actions import NOTHING_CHANGED, Action, Ask, DryRun, Name, print_dry
from weft.cli.captures import Capture
from weft.cli.confirm import Yes
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import by_name, last_of
from weft.cli.show import Format, Output
from weft.cli.texts import name_of
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES
from weft.wire.client import WEFT, Client, path_of

app = typer.Typer()

Checkpoint = Annotated[str, typer.Argument(help="Its checkpoint.", autocompletion=complete.checkpoints)]


class IfTaken(enum.StrEnum):
    refuse = "refuse"
    remap = "remap"


@app.command("checkpoint", epilog=EPILOG)
def take(
    ctx: typer.Context,
    name: Name,
    checkpoint: Annotated[str, typer.Argument(help="A new name.")],
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Keep a machine's addresses as they are now: nobody else gets them until the checkpoint is deleted.

    \b
    weft vm checkpoint web1 before-upgrade
    """
    capture = Capture(CHECKPOINTS, name, checkpoint)
    run(ctx, controller, lambda client: captures.take(client, capture, Ask(output, controller, dry_run)))


@app.command("checkpoints", epilog=EPILOG)
def list_all(ctx: typer.Context, name: Name, output: Output = Format.table, controller: Controller = "") -> None:
    """List a machine's checkpoints with what they hold, the oldest first.

    \b
    weft vm checkpoints web1
    """
    run(ctx, controller, lambda client: captures.show_all(client, CHECKPOINTS, name, output))


@app.command("delete-checkpoint", epilog=EPILOG)
def delete(
    ctx: typer.Context,
    name: Name,
    checkpoint: Checkpoint,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Delete a checkpoint; what only it held is released. Asks before.

    \b
    weft vm delete-checkpoint web1 before-upgrade
    """
    capture, ask = Capture(CHECKPOINTS, name, checkpoint), Ask(output, controller, dry_run)
    run(ctx, controller, lambda client: captures.delete(client, capture, "no way back to it", yes, ask))


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME CHECKPOINT", help="Or names.", autocompletion=complete.restorable),
]
AllWith = Annotated[
    str, typer.Option("--all-with", metavar="CHECKPOINT", help="All machines that have it (or those named), as one.")
]
Names = Annotated[
    str, typer.Option("--names", metavar="FILE", help="With --all-with: one machine per line; - reads input.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the addresses that the machine has now.")]
Taken = Annotated[IfTaken, typer.Option("--if-taken", help="What another has now: refuse all, or grant new ones.")]


@app.command("restore", epilog=EPILOG)
def restore(
    ctx: typer.Context,
    words: Words = None,
    all_with: AllWith = "",
    names: Names = "",
    keep: Keep = False,
    if_taken: Taken = IfTaken.refuse,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Bring a machine's addresses back to a checkpoint, all of them or none; says what became of each interface.

    \b
    weft vm restore web1 before-upgrade --dry-run
    weft vm restore web1 before-upgrade --if-taken remap
    weft vm restore --all-with logon
    weft vm restore --all-with logon --names desktops.txt
    """
    ask = Ask(output, controller, dry_run)
    rest = {"addresses": "keep" if keep else "captured", "ifTaken": if_taken.value}

    async def work(client: Client) -> None:
        given = list(words or ())
        if not all_with:
            if len(given) != 2 or names:
                raise Misuse("name a machine and its checkpoint, or --all-with CHECKPOINT; see: weft vm restore --help")
            await _restore_one(client, Action(given[0], "restore", {"checkpoint": last_of(given[1]), **rest}), ask)
            return
        machines = [*given, *_lines(names)] if given or names else await _that_have(client, all_with)
        if not machines:
            show.say(f"no machine has a checkpoint {all_with}")
            return
        body = {"checkpoint": all_with, **rest}
        await _restore_all(client, [Action(machine, "restore", body) for machine in machines], ask)

    run(ctx, controller, work)


async def _restore_one(client: Client, action: Action, ask: Ask) -> None:
    answer = (await client.post(action.path, action.body, ask.write)).body
    if ask.output is not Format.table:
        print_dry(answer, ask.output) if ask.dry_run else listing.one(VIRTUAL_MACHINES, answer, ask.output)
        return
    _print_outcomes([answer], ask)


async def _restore_all(client: Client, actions: list[Action], ask: Ask) -> None:
    """One batch: all of them come back, or none."""
    body = {"atomic": True, "requests": [action.request for action in actions]}
    answer = (await client.post(f"{WEFT}/batch", body, ask.write)).body
    machines = [response.get("body") for response in answer["responses"]]
    if ask.output is not Format.table:
        print_dry(answer, ask.output) if ask.dry_run else listing.several(VIRTUAL_MACHINES, machines, ask.output)
        return
    _print_outcomes(machines, ask)
    if ask.dry_run:
        return
    show.say(f"{len(machines)} machines restored, in one revision")
    if errands.has_errands(machines):
        # their hosts go back as well, each by itself
        await errands.all_done(client, [vm["resourceId"] for vm in machines], "back on their hosts")


def _print_outcomes(machines: list[Any], ask: Ask) -> None:
    """What became of each interface: from, to, outcome."""
    found = [one for machine in machines for one in (machine.get("properties") or {}).get("restore") or ()]
    rows = [[name_of(one["networkInterface"]), one["from"], one["to"], one["outcome"]] for one in found]
    show.table(["interface", "from", "to", "outcome"], rows)
    if ask.dry_run:
        show.say(NOTHING_CHANGED)


def _lines(path: str) -> list[str]:
    """Names of a file, one per line; empty lines and comments are passed over. Raises Misuse."""
    if not path:
        return []
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} cannot be read: {error}; name a text file with one machine per line") from error
    found = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [name for name in found if name]


async def _that_have(client: Client, checkpoint: str) -> list[str]:
    """All machines with a checkpoint of that name."""
    wanted = checkpoint.lower()
    return [
        vm["resourceId"]
        for vm in by_name(await client.list_all(path_of("/virtualMachines")))
        if wanted in [name_of(ref).lower() for ref in vm["properties"].get("checkpoints") or ()]
    ]
