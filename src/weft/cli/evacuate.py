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
from weft.model.errors import NotFound, NotReady, Unavailable
from weft.wire.client import WEFT, Client, error_of

app = typer.Typer()

EVERY_S = 0.5
"""Between two looks."""
MOST_NAMED = 5
"""Hosts in a sentence, and sentences in a line."""
AWAY_S = 120.0
"""So long a controller may be away, and its agents after it is back."""


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
        print_end(await _followed(client, path, body), output)

    run(ctx, controller, work)


async def _followed(client: Client, path: str, body: Any) -> Any:
    """Begin it and look until it has ended. A controller that was started anew knows nothing of it: it is asked again,
    and goes on with what is left once agents are back."""
    now = asyncio.get_running_loop().time
    found = (await client.post(f"{path}?timeout=0", body)).body
    heard, anew, said = now(), 0.0, ""
    while not found["ended"] or (_waits_for_agents(found) and now() < anew):
        if (line := _line(found)) != said and (found["total"] or found["leaving"]):
            show.say(line)
            said = line
        await asyncio.sleep(EVERY_S)
        try:
            found = (await client.post(f"{path}?timeout=0", body)).body if found["ended"] else await client.get(path)
            heard = now()
        except NotFound:
            found, anew = {**found, "ended": True, "failed": [_NOT_ASKED]}, now() + AWAY_S
        except Unavailable as silence:
            if now() - heard > AWAY_S:
                raise
            show.say(f"{silence.message} Machines go on as they are; asking again.")
    return found


_NOT_ASKED = {"error": {"code": NotReady.code}}
"""In the place of a machine's failure, until the controller that began since has been asked."""


def _waits_for_agents(found: Any) -> bool:
    return any(one["error"]["code"] == NotReady.code for one in found["failed"])


def _line(found: Any) -> str:
    if not found["total"] and not found["leaving"]:
        return "no machine is there"
    done, failed = len(found["moved"]), len(found["failed"])
    line = f"{done} of {found['total']} moved, {len(found['underWay'])} under way, {failed} failed"
    return f"{line}; it still forwards to {_leaving(found['leaving'])}" if found["leaving"] else line


def _leaving(machines: list[Any]) -> str:
    """Who waits for whom: machines that wait for the same hosts together, last those of which that is not known yet."""
    waiting: dict[tuple[str, ...], list[str]] = {}
    for one in machines:
        late = tuple(sorted(last_of(host["resourceRef"]) for host in one.get("waitsFor") or ()))
        waiting.setdefault(late, []).append(last_of(one["machine"]["resourceRef"]))
    groups = sorted((not late, sorted(names), late) for late, names in waiting.items())
    told = [_until(names, late) for _, names, late in groups[:MOST_NAMED]]
    more = sum(len(names) for _, names, _ in groups[MOST_NAMED:])
    return "; to ".join([*told, *([f"{more} more"] if more else [])])


def _until(machines: list[str], late: tuple[str, ...]) -> str:
    hosts = (", ".join(late) if len(late) <= MOST_NAMED else f"{len(late)} hosts") or "every host"
    where = "it is" if len(machines) == 1 else "they are"
    return f"{', '.join(machines)}, until {hosts} {'know' if len(late) > 1 else 'knows'} where {where}"


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
