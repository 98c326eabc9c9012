"""`weft get`, `weft delete`, `weft apply`: any kind, by name or from a file."""

import contextlib
from typing import Annotated, Any

import typer

from weft.cli import complete, listing, show
from weft.cli.compare import Difference
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.documents import Documents
from weft.cli.faults import BadFile
from weft.cli.files import examine_stream, read_stream
from weft.cli.names import asked, by_name
from weft.cli.plan import Plan, apply, deletion_order, request, send
from weft.cli.references import dangling
from weft.cli.show import Format, Output
from weft.cli.texts import range_text
from weft.model.errors import WeftError
from weft.wire.client import Client, Write, path_of

app = typer.Typer()

Wait = Annotated[bool, typer.Option("--wait", help="Answer when every host that needs the change has applied it.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, max=600, help="Seconds that --wait waits.")]
File = Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="YAML stream; - reads standard input.")]


@app.command("get", epilog=EPILOG)
def get(
    ctx: typer.Context,
    kind: Annotated[
        str, typer.Argument(help="virtualNetworks, nics, virtualNetworks/blue ...", autocompletion=complete.kinds)
    ],
    name: Annotated[str, typer.Argument(help="One of them.", autocompletion=complete.names)] = "",
    of: Annotated[str, typer.Option("--of", metavar="KIND/NAME", help="Children of this resource.")] = "",
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Show resources.

    \b
    weft get virtualNetworks
    weft get virtualNetworks blue -o yaml
    weft get subnets --of virtualNetworks/blue
    weft get virtualNetworks/blue/subnets/web -o json
    """

    async def work(client: Client) -> None:
        target = asked("weft get", kind, name, of)
        if target.one:
            listing.one(target.kind, await client.get(path_of(target.ref)), output)
        else:
            found = await client.list_all(path_of(target.ref))
            # children keep the order in which they were written
            listing.several(target.kind, found if target.is_child else by_name(found), output)

    run(ctx, controller, work)


@app.command("delete", epilog=EPILOG)
def delete(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="A kind, or KIND/NAME.", autocompletion=complete.kinds)] = "",
    name: Annotated[str, typer.Argument(help="Which one.", autocompletion=complete.names)] = "",
    file: File = "",
    wait: Wait = False,
    timeout: Timeout = 30.0,
    controller: Controller = "",
) -> None:
    """Delete one resource, or all of a file in the order in which they let go of each other.

    \b
    weft delete networkInterfaces web1-eth0
    weft delete virtualNetworks/blue/subnets/web
    weft delete -f cluster.yaml
    """
    write = Write(wait_s=timeout if wait else 0.0)

    async def work(client: Client) -> None:
        if bool(file) == bool(kind):
            raise Misuse("give either KIND NAME or -f FILE; see: weft delete --help")
        if file:
            await _delete_file(client, file, write)
            return
        target = asked("weft delete", kind, name)
        if not target.one:
            raise Misuse(f"which of the {target.kind.name}? write {target.kind.name}/NAME")
        await client.get(path_of(target.ref))
        await client.delete(path_of(target.ref), write)
        print(f"{target.ref.strip('/').removeprefix('weft/')} deleted")

    run(ctx, controller, work)


async def _delete_file(client: Client, file: str, write: Write) -> None:
    """What is there already gone is passed over; the rest goes in one batch."""
    wanted = deletion_order(read_stream(file))
    present = [document for document in wanted if await client.find(path_of(document.ref)) is not None]
    if present:
        await send(client, [request("DELETE", document) for document in present], present, write)
    for document in wanted:
        print(f"{document.name} {'deleted' if document in present else 'was not there'}")


@app.command("apply", epilog=EPILOG)
def apply_file(
    ctx: typer.Context,
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, change nothing.")] = False,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Make the controller hold what a file says: all of it in one revision, or nothing.

    A second run changes nothing. Resources that the file does not name stay. Machines are neither started nor
    stopped: weft vm start does that. One that runs on another server than the file says is moved, after all else.

    \b
    weft apply -f cluster.yaml --dry-run
    weft apply -f cluster.yaml --wait
    weft get virtualNetworks -o yaml | weft apply -f -
    """

    async def work(client: Client) -> None:
        documents = await _read_against(client, file)
        for note in documents.notes:
            show.say(f"note: {note}")
        for left_out in documents.lab:
            show.say(f"note: {left_out.file}:{left_out.line}: {left_out.kind} is for weft lab up; it is left out")
        # a lab's host is no server here: a reference to it must find one on the controller
        plan = await apply(client, Documents(documents.resources), dry_run, timeout if wait else 0.0)
        _print_plan(plan, output)

    run(ctx, controller, work)


async def _read_against(client: Client, file: str) -> Documents:
    """Read a file; if it has faults, look for dangling references too, so that all are told at once. Raises BadFile."""
    documents, faults = examine_stream(file)
    if faults:
        with contextlib.suppress(WeftError):
            faults += await dangling(client, Documents(documents.resources))
        raise BadFile(faults)
    return documents


def _print_plan(plan: Plan, output: Format) -> None:
    if output in (Format.json, Format.yaml):
        value = [_plain_step(step.document.name, step.action, step.differences) for step in plan.steps]
        show.as_json(value) if output is Format.json else show.as_yaml([value])
        return
    if output is Format.name:
        for step in plan.work:
            print(step.document.name)
        return
    rows = [[s.action, s.document.name, "; ".join(_in_words(d) for d in s.differences)] for s in plan.steps]
    show.table(["action", "resource", "members"], rows)
    print(summary(plan))


def _plain_step(name: str, action: str, differences: tuple[Difference, ...]) -> dict[str, Any]:
    changed = [{"member": d.member, "before": d.before, "after": d.after} for d in differences]
    return {"resource": name, "action": action, "differences": changed}


def _in_words(difference: Difference) -> str:
    if difference.before is None:
        return f"{difference.member}: {_short(difference.after)}"
    if difference.after is None:
        return f"{difference.member}: removed"
    return f"{difference.member}: {_short(difference.before)} -> {_short(difference.after)}"


def _short(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"resourceRef"}:
        return str(value["resourceRef"])
    if isinstance(value, dict):
        return range_text(value) or "; ".join(f"{name} {_short(below)}" for name, below in value.items())
    return ", ".join(_short(v) for v in value) if isinstance(value, list | tuple) else str(value) or "(none)"


def summary(plan: Plan) -> str:
    """The last line: what was done, or would be."""
    if not plan.work:
        return f"nothing changed: {len(plan.steps)} resources are as the file says"
    moved = f"{plan.count('move')} moved, " if plan.count("move") else ""
    done = f"{plan.count('create')} created, {plan.count('change')} changed"
    counts = f"{done}, {moved}{plan.count('unchanged')} unchanged"
    return counts if plan.done else f"dry run, nothing was changed; would be {counts}"
