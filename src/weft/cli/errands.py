"""What hosts do to machines once: waited for by looking, many at a time, and `weft vm rewrite-checkpoints`."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Any

import typer

from weft.cli import complete, show
from weft.cli.actions import NOTHING_CHANGED, Action, Ask, DryRun, NotAll
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import by_name, last_of
from weft.cli.show import Format, Output
from weft.cli.texts import name_of
from weft.model.errors import NotReady, WeftError
from weft.wire.client import Client, path_of

app = typer.Typer()

LOOK_SECONDS = 1.0


async def all_done(client: Client, machines: Collection[str], verb: str) -> None:
    """Return when no host is at an errand for these machines any more; how far they are is told whenever it changes.
    Raises NotAll, naming those that failed."""
    wanted = {last_of(name).lower() for name in machines}
    said = ""
    while True:
        found = [vm for vm in await client.list_all(path_of("/virtualMachines")) if vm["resourceId"].lower() in wanted]
        errands = {vm["resourceId"]: vm["properties"].get("errand") or {} for vm in found}
        left = [name for name, errand in errands.items() if errand.get("phase") == "asked"]
        failed = {name: errand["failure"] for name, errand in errands.items() if errand.get("phase") == "failed"}
        words = f"{len(wanted) - len(left) - len(failed)} of {len(wanted)} {verb}"
        words += f", {len(left)} under way" if left else ""
        words += f", {len(failed)} failed" if failed else ""
        if words != said:
            show.say(words)
            said = words
        if not left:
            break
        await asyncio.sleep(LOOK_SECONDS)
    if failed:
        raise NotAll((name, NotReady(f"{why}; it is as it was")) for name, why in sorted(failed.items()))


def has_errands(machines: Collection[Any]) -> bool:
    """Is a host still at something for one of them?"""
    return any((vm["properties"].get("errand") or {}).get("phase") == "asked" for vm in machines)


@app.command("rewrite-checkpoints", epilog=EPILOG)
def rewrite(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The machines.", autocompletion=complete.machines)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All machines that have checkpoints.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Give checkpoints the MAC addresses that their machine's interfaces own now. Lists them, and asks before.

    \b
    weft vm rewrite-checkpoints web1 web2 --dry-run
    weft vm rewrite-checkpoints --all
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        if bool(names) == every:
            raise Misuse("name machines, or --all; see: weft vm rewrite-checkpoints --help")
        wanted = await _with_checkpoints(client) if every else [last_of(name) for name in names or ()]
        listed = await _each(client, wanted, {"dryRun": True}, every)
        rows = [(name, one) for name, found in listed.items() for one in found]
        _show(rows, ask)
        if dry_run or not rows:
            show.say(NOTHING_CHANGED if dry_run else "every checkpoint holds what its machine owns")
            return
        meant = [one for _, one in rows if not one["left"]]
        if not meant:
            show.say("none of them can be rewritten")
            return
        confirm(f"rewrites {len(meant)} adapters in checkpoints; what only those hold is released", yes)
        done = await _each(client, [name for name, found in listed.items() if found], {}, False)
        show.say(f"{sum(not one['left'] for each in done.values() for one in each)} adapters rewritten")

    run(ctx, controller, work)


async def _each(client: Client, names: list[str], body: dict[str, Any], lenient: bool) -> dict[str, list[Any]]:
    """By machine what is, or would be, rewritten. `lenient` passes over those whose host keeps no checkpoints. Raises
    NotAll after the others are done."""
    found: dict[str, list[Any]] = {}
    refused: list[tuple[str, WeftError]] = []
    for name in names:
        try:
            answer = await client.post(Action(name, "rewriteCheckpoints").path, body)
            found[name] = answer.body["properties"]["rewriteCheckpoints"]
        except WeftError as error:
            if error.status >= 500:
                raise
            if not (lenient and error.code == NotReady.code):
                refused.append((name, error))
    if refused:
        raise NotAll(refused)
    return found


def _show(rows: list[tuple[str, Any]], ask: Ask) -> None:
    if ask.output in (Format.json, Format.yaml):
        found = [{"machine": name, **one} for name, one in rows]
        show.as_json(found) if ask.output is Format.json else show.as_yaml(found)
    elif rows:
        cells = [[name, o["checkpoint"], name_of(o["networkInterface"]), o["from"] or "-", o["to"]] for name, o in rows]
        show.table(["machine", "checkpoint", "interface", "from", "to"], cells)
        for name, one in rows:
            if one["left"]:
                show.say(f"{name}: checkpoint {one['checkpoint']} is left: {one['left']}")


async def _with_checkpoints(client: Client) -> list[str]:
    found = by_name(await client.list_all(path_of("/virtualMachines")))
    return [vm["resourceId"] for vm in found if vm["properties"].get("checkpoints")]
