"""`weft watch`: every change as it happens, in one line each, over restarts of the controller."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Annotated, Any

import typer

from weft.cli import show
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.show import Format, Output
from weft.wire.client import Client, ControllerUnreachable

app = typer.Typer()

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
"""Between attempts to find a controller that went away; some 40 s together. What is heard begins them anew."""

_NOT_SHOWN = ("etag", "instanceId", "generation")
"""Members that change with every write, or that mean nothing to a reader."""


@app.command("watch", epilog=EPILOG)
def watch(
    ctx: typer.Context,
    after: Annotated[
        str, typer.Option("--after", metavar="GENERATION:REVISION", help="From here on; else from now.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Stop after so many revisions; 0 never.")] = 0,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Print every change as it happens, one per line, until Ctrl-C; over restarts of the controller too.

    \b
    weft watch
    weft watch -o json | jq .
    """

    async def work(client: Client) -> None:
        seen = 0
        async with aclosing(_followed(client, after)) as events:
            async for cursor, event in events:
                if output is Format.table:
                    for line in event_lines(event):
                        print(show.clean(line), flush=True)
                else:
                    print(json.dumps({"cursor": cursor, **event}), flush=True)
                seen += 1
                if seen == limit:
                    return

    run(ctx, controller, work)


async def _followed(client: Client, after: str) -> AsyncGenerator[tuple[str, Any], None]:
    """Events from the cursor on, or from now; a connection that ends is taken up again where it ended."""
    ready = await client.get("/readyz")
    cursor, tries = after or f"{ready['generation']}:{ready['revision']}", 0
    while True:
        try:
            async with aclosing(client.watch(cursor)) as events:
                async for cursor, event in events:
                    tries = 0
                    yield cursor, event
        except ControllerUnreachable as lost:
            if tries == len(PAUSES_S):
                raise ControllerUnreachable(f"{lost.message}. To go on: weft watch --after {cursor}") from lost
        if not tries:
            show.say(f"the connection ended; trying again. By hand: weft watch --after {cursor}")
        await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
        tries += 1


def event_lines(event: Any) -> Iterator[str]:
    """One line per change: time, revision, what happened to what, and the members that differ."""
    for change in event.get("changes") or ():
        what = change.get("resourceRef") or change.get("address")
        words = [*(change.get("holders") or ()), "; ".join(differing(change))]
        line = f"{event.get('time')}  {event.get('revision'):>6}  {change.get('action', ''):<8}  {what}"
        yield "  ".join([line, *(word for word in words if word)])


def differing(change: Any) -> Iterator[str]:
    """`powerState: Running -> Off` for each member that an update changed."""
    before, after = change.get("before"), change.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    old, new = dict(_flat("", before)), dict(_flat("", after))
    for member in dict.fromkeys([*old, *new]):
        if old.get(member) != new.get(member):
            name = member.removeprefix("properties/").removesuffix("/resourceRef")
            yield f"{name}: {old.get(member, '-')} -> {new.get(member, '-')}"


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every member with its path; children by their ids, so that one more does not shift the others."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name not in _NOT_SHOWN:
                yield from _flat(f"{path}/{name}".strip("/"), below)
    elif isinstance(value, list) and any(isinstance(each, dict) and "resourceId" in each for each in value):
        for each in value:
            yield from _flat(f"{path}/{each.get('resourceId')}", each)
    elif isinstance(value, list):
        yield path, ", ".join(str(each.get("resourceRef", each) if isinstance(each, dict) else each) for each in value)
    else:
        yield path, str(value)
