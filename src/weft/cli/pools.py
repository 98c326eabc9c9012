"""`weft pool` and `weft address`: what is free, who holds the rest, and what happened to an address."""

from typing import Annotated, Any

import typer

from weft.cli import complete, show
from weft.cli.columns import name_of
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import address_word, by_name, pool_ref
from weft.cli.show import Format, Output
from weft.wire.client import WEFT, Client, path_of

app = typer.Typer()
pool = typer.Typer(help="Pools and subnets: how full they are, and each address.", no_args_is_help=True)

STATES = ("capacity", "free", "assigned", "retained", "cooling", "reserved", "foreign")


@pool.command("usage", epilog=EPILOG)
def usage(
    ctx: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(help="A MAC pool, blue/web, or any resourceRef; else all.", autocompletion=complete.mac_pools),
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
            show.table(["pool", *STATES], [[each.strip("/"), *(u.get(s) for s in STATES)] for each, u in found.items()])
        else:
            _print(found[refs[0]] if ref else found, output)

    run(ctx, controller, work)


async def _all_pools(client: Client) -> list[str]:
    """References of every MAC pool, IP pool and virtual subnet."""
    refs = [p["resourceRef"] for p in by_name(await client.list_all(path_of("/macPools")))]
    for network in by_name(await client.list_all(path_of("/logicalNetworks"))):
        for subnet in network["properties"].get("subnets") or ():
            refs += [p["resourceRef"] for p in subnet["properties"].get("ipPools") or ()]
    for network in by_name(await client.list_all(path_of("/virtualNetworks"))):
        refs += [subnet["resourceRef"] for subnet in network["properties"].get("subnets") or ()]
    return refs


@pool.command("addresses", epilog=EPILOG)
def addresses(
    ctx: typer.Context,
    ref: Annotated[
        str, typer.Argument(help="A MAC pool, blue/web, or any resourceRef.", autocompletion=complete.mac_pools)
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
        asked: dict[str, str | int] = {"limit": limit} | ({"state": state.lower()} if state else {})
        page = await client.get(f"{WEFT}{pool_ref(ref)}/addresses", **asked)
        found = page["value"]
        while page.get("nextLink") and len(found) < limit:
            page = await client.get(page["nextLink"])
            found += page["value"]
        if output is Format.table:
            show.table(["address", "state", "holders", "until", "reason"], [_address_row(a) for a in found[:limit]])
        else:
            _print(found[:limit], output)
        if len(found) > limit or page.get("nextLink"):
            show.say(f"there are more; raise --limit {limit}")

    run(ctx, controller, work)


def _address_row(found: Any) -> list[Any]:
    address = found.get("address")
    if address is None and found.get("count") == 1:
        address = found.get("first")
    elif address is None:
        address = f"{found.get('first')} to {found.get('last')} ({found.get('count')})"
    return [address, found.get("state", "free"), _holders(found), found.get("until"), found.get("reason")]


def _holders(found: Any) -> str:
    return ", ".join(name_of(_ref_of(holder)) for holder in found.get("holders") or ())


def _ref_of(holder: Any) -> str:
    return str(holder.get("resourceRef") or holder.get("ref") or "") if isinstance(holder, dict) else str(holder)


@app.command("address", epilog=EPILOG)
def address(
    ctx: typer.Context,
    mac_or_ip: Annotated[str, typer.Argument(metavar="MAC|IP", help="In any notation.")],
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Show who holds an address now, and all that happened to it.

    \b
    weft address 00:1d:d8:b7:1c:07
    weft address 10.1.1.11 -o json
    """

    async def work(client: Client) -> None:
        found = await client.get(f"{WEFT}/addresses/{address_word(mac_or_ip)}")
        if output is not Format.table:
            _print(found, output)
            return
        if _unheard_of(found):
            print(f"nobody has {mac_or_ip}, and nobody ever had it")
            return
        _print_address(found)

    run(ctx, controller, work)


def _unheard_of(found: Any) -> bool:
    """In no pool, and without any history."""
    places = found["value"]
    return not any(p.get("pool") or p.get("holders") or p.get("history") for p in places)


def _print_address(found: Any) -> None:
    """Where it is now (an IP address may be in several networks), then its history, oldest first."""
    places = found["value"] if isinstance(found.get("value"), list) else [found]
    rows = [[p.get("address"), p.get("state"), _holders(p), _domain(p), p.get("until")] for p in places]
    show.table(["address", "state", "holders", "domain", "until"], rows)
    history = [{"domain": _domain(place), **event} for place in places for event in place.get("history") or ()]
    if history:
        print()
        members = ["time", "revision", "event", "holder", "machine", "host", "actor", "reason"]
        members += ["domain"] if len(places) > 1 else []
        show.table(members, [[_counted(event, member) for member in members] for event in history])


def _counted(event: dict[str, Any], member: str) -> Any:
    """The same asker's refusals of one hour come as one event."""
    times = event.get("times", 1) if member == "event" else 1
    return f"{event['event']}, {times} times" if times > 1 else event.get(member)


def _domain(place: Any) -> Any:
    return place.get("l2Domain") or _ref_of(place.get("pool") or {}) or place.get("scope")


def _print(value: Any, output: Format) -> None:
    if output is Format.yaml:
        show.as_yaml([value])
    elif output is Format.name and isinstance(value, list):
        for each in value:
            print(each.get("address") or each.get("first"))
    else:
        show.as_json(value)
