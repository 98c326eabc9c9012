"""`weft host`: what a host says of itself, the MAC addresses that are its own, and its removal."""

from typing import Annotated

import msgspec
import typer

from weft.cli import complete, evacuate, host_ranges, listing, show
from weft.cli.actions import Ask, DryRun, machines_on, print_deleted
from weft.cli.addresses import plain
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.host_state import host_tables
from weft.cli.names import by_name, last_of, server_ref
from weft.cli.show import Format, Output
from weft.model.kinds import SERVERS
from weft.wire.client import WEFT, Client, Write, path_of

app = typer.Typer(help="Hosts.", no_args_is_help=True)

Host = Annotated[str, typer.Argument(metavar="HOST", help="The server.", autocompletion=complete.servers)]


@app.command("list", epilog=EPILOG)
def list_all(ctx: typer.Context, output: Output = Format.table, controller: Controller = "") -> None:
    """List hosts, as `weft get servers` does.

    \b
    weft host list
    """

    async def work(client: Client) -> None:
        listing.several(SERVERS, by_name(await client.list_all(path_of("/servers"))), output)

    run(ctx, controller, work)


@app.command("state", epilog=EPILOG)
def state(ctx: typer.Context, server: Host, output: Output = Format.table, controller: Controller = "") -> None:
    """Show whether a host is connected, what it has applied, its machines and ports, drops, drift and last error.

    \b
    weft host state host1
    """

    async def work(client: Client) -> None:
        found = await client.get(f"{WEFT}/servers/{last_of(server)}/state")
        if output is not Format.table:
            plain(found, output)
            return
        for i, (heads, rows) in enumerate(host_tables(found)):
            print("\n" * bool(i), end="")
            show.table(heads, rows)

    run(ctx, controller, work)


@app.command("remove", epilog=EPILOG)
def remove(
    ctx: typer.Context,
    server: Host,
    force: Annotated[
        bool, typer.Option("--force", help="Although machines are bound to it: it will not return.")
    ] = False,
    fenced: Annotated[
        bool, typer.Option("--fenced", help="With --force: it still answers, but you have cut it off for good.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Delete a server. With --force also one with machines: they are off and on no host then, and asks before. Refused
    while its agent is connected and machines run there, unless --fenced.

    \b
    weft host remove host3
    weft host remove host3 --force
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        if fenced and not force:
            raise Misuse("--fenced goes with --force: without it no server goes that has machines")
        path = path_of(server_ref(server))
        found = await client.get(path)
        write = Write(dry_run=ask.dry_run, force=force, fenced=fenced)
        if force and not dry_run:
            # what is refused is not asked about
            await client.delete(path, msgspec.structs.replace(write, dry_run=True))
            there = await machines_on(client, found["resourceId"])
            confirm(_what_goes(found["resourceId"], [vm["resourceId"] for vm in there]), yes)
        answer = await client.delete(path, write)
        print_deleted(f"servers/{found['resourceId']}", answer.body, ask)

    run(ctx, controller, work)


def _what_goes(server: str, machines: list[str]) -> str:
    if not machines:
        return f"deletes {server}; no machine is on it"
    names = ", ".join(machines)
    return (
        f"deletes {server} for good. Its machines become off and on no host, their addresses inactive: {names}\n"
        f"to go on with them elsewhere: weft vm failover --from {server} --to HOST"
    )


app.add_typer(host_ranges.app)
app.add_typer(evacuate.app)
