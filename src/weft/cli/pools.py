"""`weft pool`: what is free, who holds the rest, and which pools give nothing any more."""

import enum
from typing import Annotated, Any

import typer

from weft.cli import complete, listing, reservations, show
from weft.cli.actions import Ask, DryRun, print_dry
from weft.cli.addresses import holders, plain
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import by_name, pool_ref, target_of
from weft.cli.show import Format, Output
from weft.model.kinds import IP_POOLS, MAC_POOLS
from weft.wire.client import WEFT, Client, Write, path_of

app = typer.Typer(help="Pools and subnets: how full they are, and each address.", no_args_is_help=True)

STATES = ("capacity", "free", "assigned", "retained", "cooling", "reserved", "foreign")


@app.command("usage", epilog=EPILOG)
def usage(
    ctx: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(help="A MAC pool, blue/web, or any resourceRef; else all.", autocompletion=complete.pools),
    ] = "",
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Count addresses by state; the six states add up to the capacity.

    \b
    weft pool usage
    weft pool usage blue/web
    weft pool usage logicalNetworks/hnvpa/subnets/pa1/ipPools/p1 -o json
    """

    async def work(client: Client) -> None:
        refs = [pool_ref(ref)] if ref else await _all_pools(client)
        found = {each: await client.get(f"{WEFT}{each}/usage") for each in refs}
        if output is Format.table:
            show.table(["pool", *STATES, "days left", "warning"], [_usage_row(*each) for each in found.items()])
        else:
            plain(found[refs[0]] if ref else found, output)

    run(ctx, controller, work)


def _usage_row(ref: str, found: Any) -> list[Any]:
    """Counts, then how long the free ones last at the rate of now, and whether it is time to make room."""
    days = found.get("daysToExhaustion")
    left = None if days is None else f"{days:.1f}" if days < 10 else f"{days:.0f}"
    warning = found.get("warning")
    return [ref.strip("/"), *(found.get(s) for s in STATES), left, "yes" if warning is True else warning or None]


async def _all_pools(client: Client) -> list[str]:
    """References of every MAC pool, host's range, IP pool and virtual subnet."""
    refs = [p["resourceRef"] for p in by_name(await client.list_all(path_of("/macPools")))]
    for server in by_name(await client.list_all(path_of("/servers"))):
        refs += [f"{server['resourceRef']}/macRange"] if server["properties"].get("macRange") else []
    for network in by_name(await client.list_all(path_of("/logicalNetworks"))):
        for subnet in network["properties"].get("subnets") or ():
            refs += [p["resourceRef"] for p in subnet["properties"].get("ipPools") or ()]
    for network in by_name(await client.list_all(path_of("/virtualNetworks"))):
        refs += [subnet["resourceRef"] for subnet in network["properties"].get("subnets") or ()]
    return refs


@app.command("addresses", epilog=EPILOG)
def addresses(
    ctx: typer.Context,
    ref: Annotated[
        str, typer.Argument(help="A MAC pool, blue/web, or any resourceRef.", autocompletion=complete.pools)
    ],
    state: Annotated[str, typer.Option("--state", help="free, assigned, retained, cooling, reserved or foreign.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many lines.")] = 50,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List the addresses of a pool, free ones as ranges.

    \b
    weft pool addresses pool1 --state cooling
    weft pool addresses blue/web --state free --limit 10
    """

    async def work(client: Client) -> None:
        await print_addresses(client, f"{WEFT}{pool_ref(ref)}/addresses", (state, limit), output)

    run(ctx, controller, work)


async def print_addresses(client: Client, path: str, asked: tuple[str, int], output: Format) -> None:
    """Of a pool or a host's range: those in a state (empty: all), so many lines."""
    state, limit = asked
    query: dict[str, str | int] = {"limit": limit} | ({"state": state.lower()} if state else {})
    page = await client.get(path, **query)
    found = page["value"]
    while page.get("nextLink") and len(found) < limit:
        page = await client.get(page["nextLink"])
        found += page["value"]
    if output is Format.table:
        show.table(["address", "state", "holders", "until", "reason"], [_address_row(a) for a in found[:limit]])
    else:
        plain(found[:limit], output)
    if len(found) > limit or page.get("nextLink"):
        show.say(f"there are more; raise --limit {limit}")


def _address_row(found: Any) -> list[Any]:
    address = found.get("address")
    if address is None and found.get("count") == 1:
        address = found.get("first")
    elif address is None:
        address = f"{found.get('first')} to {found.get('last')} ({found.get('count')})"
    return [address, found.get("state", "free"), holders(found), found.get("until"), found.get("reason")]


class Switch(enum.StrEnum):
    on = "on"
    off = "off"


@app.command("drain", epilog=EPILOG)
def drain(
    ctx: typer.Context,
    ref: Annotated[
        str, typer.Argument(help="A MAC pool, or an IP pool's resourceRef.", autocompletion=complete.mac_pools)
    ],
    switch: Annotated[Switch, typer.Argument(help="on: no new grants; off: grants again.")] = Switch.on,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Let a pool give no new addresses; who has one of it keeps it. Off lets it give again.

    \b
    weft pool drain pool1
    weft pool drain pool1 off
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        target = target_of([pool_ref(ref)])
        if target.kind not in (MAC_POOLS, IP_POOLS) or not target.one:
            raise Misuse(f"{ref} is no pool that can be drained; name a MAC pool, or an IP pool by its resourceRef")
        present = await client.get(path_of(target.ref))
        wanted = {**present, "properties": {**present["properties"], "drain": switch is Switch.on}}
        write = Write(dry_run=dry_run, if_match=present["etag"])
        answer = (await client.put(path_of(target.ref), wanted, write)).body
        print_dry(answer, output) if ask.dry_run else listing.one(target.kind, answer, output)

    run(ctx, controller, work)


app.add_typer(reservations.app)
