"""`weft pool reserve` and `weft pool reservations`: addresses held for what is to come."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from weft.cli import complete, listing
from weft.cli.actions import Ask, DryRun, print_answer, print_deleted
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, desk_of, run
from weft.cli.names import by_name, last_of, pool_ref
from weft.cli.references import normal_ref
from weft.cli.show import Format, Output
from weft.model.kinds import RESERVATIONS
from weft.wire.client import WEFT, Client

app = typer.Typer()
reservations = typer.Typer(
    help="Addresses held for a purpose: weft pool reservations list.",
    no_args_is_help=True,
)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@app.command("reserve", epilog=EPILOG)
def reserve(
    ctx: typer.Context,
    ref: Annotated[
        str, typer.Argument(metavar="POOL", help="A MAC pool, blue/web, or any.", autocompletion=complete.pools)
    ],
    count: Annotated[int, typer.Option("--count", min=1, max=4096, help="How many addresses.")],
    contiguous: Annotated[bool, typer.Option("--contiguous", help="In one block.")] = False,
    purpose: Annotated[str, typer.Option("--purpose", help="What for; it stands with the addresses.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Given back then (RFC 3339).")] = "",
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="Given back after so long: 30m, 2h, 7d, 1w.")
    ] = "",
    request_id: Annotated[
        str, typer.Option("--request-id", help="The same one gets the same addresses, however often.")
    ] = "",
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Hold addresses of a pool or subnet for what is to come; they go back by themselves.

    \b
    weft pool reserve pool1 --count 8 --contiguous --purpose "rack 4" --for 7d
    weft pool reserve blue/web --count 2 --request-id deploy-17
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        if until and duration:
            raise Misuse("give either --until or --for")
        body: dict[str, Any] = {"count": count, "contiguous": contiguous}
        body |= {"purpose": purpose} if purpose else {}
        body |= {"until": until} if until else {"until": _end(ctx, duration)} if duration else {}
        body |= {"requestId": request_id} if request_id else {}
        answer = (await client.post(f"{WEFT}{pool_ref(ref)}/reserve", body, ask.write)).body
        print_answer(RESERVATIONS, answer, ask)

    run(ctx, controller, work)


def _end(ctx: typer.Context, duration: str) -> str:
    """RFC 3339 UTC, by this desk's clock. Raises Misuse."""
    found = re.fullmatch(r"(\d+)([smhdw])", duration.strip().lower())
    wall = desk_of(ctx).wall
    if found is None:
        raise Misuse(f"'{duration}' is no duration; write a number and s, m, h, d or w, such as 2h")
    if wall is None:
        raise Misuse("there is no clock here; write --until TIME")
    end = datetime.fromtimestamp(wall() + int(found[1]) * _SECONDS[found[2]], UTC)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


@reservations.command("list", epilog=EPILOG)
def list_all(
    ctx: typer.Context,
    pool: Annotated[str, typer.Option("--pool", help="Only of this pool.", autocompletion=complete.pools)] = "",
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List reservations with their addresses.

    \b
    weft pool reservations list
    weft pool reservations list --pool pool1
    """

    async def work(client: Client) -> None:
        found = by_name(await client.list_all(f"{WEFT}/reservations"))
        wanted = normal_ref(pool_ref(pool)) if pool else ""
        listing.several(RESERVATIONS, [each for each in found if not wanted or _pool_of(each) == wanted], output)

    run(ctx, controller, work)


def _pool_of(reservation: Any) -> str:
    return normal_ref((reservation["properties"].get("pool") or {}).get("resourceRef", ""))


@reservations.command("delete", epilog=EPILOG)
def delete(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The reservation.", autocompletion=complete.reservations)],
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Give a reservation's addresses back; interfaces that were granted some of them keep theirs. Asks before.

    \b
    weft pool reservations delete deploy-17
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        path = f"{WEFT}/reservations/{last_of(name)}"
        found = await client.get(path)
        if not dry_run:
            purpose = found["properties"].get("purpose") or "no purpose given"
            confirm(f"gives {found['properties'].get('count')} addresses back that were held for: {purpose}", yes)
        answer = await client.delete(path, ask.write)
        print_deleted(f"reservations/{found['resourceId']}", answer.body, ask)

    run(ctx, controller, work)


app.add_typer(reservations, name="reservations")
