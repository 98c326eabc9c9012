"""`weft host evacuate`: move every machine off a host, saying how far it is."""

import asyncio
from typing import Annotated, Any

import typer

from weft.cli import complete, show
from weft.cli.actions import NotAll
from weft.cli.addresses import plain
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import last_of, server_ref
from weft.cli.show import Format, Output
from weft.wire.client import WEFT, Client, error_of

app = typer.Typer()

EVERY_S = 0.5
"""Between two looks."""


@app.command("evacuate", epilog=EPILOG)
def evacuate(
    ctx: typer.Context,
    server: Annotated[str, typer.Argument(metavar="HOST", help="The server.", autocompletion=complete.servers)],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Only to this host; may be repeated.", autocompletion=complete.servers),
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="So many machines move together.")] = 8,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Move every machine off a host, running or not, and say how far that is. Run again, it goes on with what is left.

    \b
    weft host evacuate host1
    weft host evacuate host1 --to host2 --to host3 --at-once 16
    """
    body = {"to": [{"resourceRef": server_ref(one)} for one in to or ()], "atOnce": at_once}

    async def work(client: Client) -> None:
        path = f"{WEFT}/servers/{last_of(server)}/evacuate"
        found = (await client.post(f"{path}?timeout=0", body)).body
        while not found["ended"]:
            show.say(_line(found))
            await asyncio.sleep(EVERY_S)
            found = await client.get(path)
        print_end(found, output)

    run(ctx, controller, work)


def _line(found: Any) -> str:
    done, failed = len(found["moved"]), len(found["failed"])
    return f"{done} of {found['total']} moved, {len(found['underWay'])} under way, {failed} failed"


def print_end(found: Any, output: Format) -> None:
    """Raises NotAll with what each of those that stayed was told."""
    if output is Format.table:
        rows = [(last_of(one["machine"]["resourceRef"]), _place(one["server"])) for one in found["moved"]]
        if rows:
            show.table(("MACHINE", "NOW ON"), rows)
        show.say(_line(found))
    else:
        plain(found, output)
    stayed = [(last_of(one["machine"]["resourceRef"]), error_of(409, one)) for one in found["failed"]]
    if stayed:
        raise NotAll(stayed)


def _place(server: Any) -> str:
    return last_of(server["resourceRef"]) if server else "-"
