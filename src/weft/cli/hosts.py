"""`weft host`: what a host says of itself, the MAC addresses that are its own, and its removal."""

from typing import Annotated, Any

import typer

from weft.cli import columns, complete, show
from weft.cli.actions import Ask, DryRun, machines_on, print_deleted
from weft.cli.addresses import plain
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.host_state import host_tables
from weft.cli.names import last_of, server_ref
from weft.cli.show import Format, Output
from weft.core.cmdlets import set_vm_host
from weft.model.values import parse_mac
from weft.wire.client import WEFT, Client, Write, path_of

app = typer.Typer(help="Hosts.", no_args_is_help=True)

Host = Annotated[str, typer.Argument(metavar="HOST", help="The server.", autocompletion=complete.servers)]


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


@app.command("range", epilog=EPILOG)
def mac_range(ctx: typer.Context, server: Host, output: Output = Format.table, controller: Controller = "") -> None:
    """Show the MAC addresses that a plan gave a host, those that its hypervisor draws from, and how to set the latter.

    \b
    weft host range host1
    weft host range host1 -o json
    """

    async def work(client: Client) -> None:
        found = await client.get(path_of(server_ref(server)))
        properties = found["properties"]
        granted, drawn = properties.get("macRange"), properties.get("dynamicMacRange")
        line = _set_vm_host(found["resourceId"], granted)
        if output is not Format.table:
            known = {"server": found["resourceId"], "macRange": granted, "dynamicMacRange": drawn}
            plain({**known, "addressPlan": properties.get("addressPlan"), "command": line}, output)
            return
        plan = columns.name_of(properties.get("addressPlan"))
        rows = [["server", found["resourceId"]], ["plan", plan], ["cluster", properties.get("clusterNumber")]]
        rows += [
            ["range of the plan", columns.range_text(granted)],
            ["hypervisor draws from", columns.range_text(drawn)],
        ]
        show.table(["what", "value"], rows)
        if line and granted != drawn:
            show.say("on the host, so that what its hypervisor draws by itself is its own:")
            print(line)

    run(ctx, controller, work)


def _set_vm_host(server: str, granted: Any) -> str | None:
    """The cmdlet that gives a Hyper-V host the range."""
    if not granted or not granted.get("first"):
        return None
    first, last = (parse_mac(granted[end]) for end in ("first", "last"))
    return set_vm_host(server, first, last)


@app.command("remove", epilog=EPILOG)
def remove(
    ctx: typer.Context,
    server: Host,
    force: Annotated[
        bool, typer.Option("--force", help="Although machines are bound to it: it will not return.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Delete a server. With --force also one with machines: they are off and on no host then, and asks before.

    \b
    weft host remove host3
    weft host remove host3 --force
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        path = path_of(server_ref(server))
        found = await client.get(path)
        if force and not dry_run:
            there = await machines_on(client, found["resourceId"])
            confirm(_what_goes(found["resourceId"], [vm["resourceId"] for vm in there]), yes)
        answer = await client.delete(path, Write(dry_run=ask.dry_run, force=force))
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
