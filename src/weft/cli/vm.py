"""`weft vm`: machines, their power, their moves and their end."""

from typing import Annotated, Any

import typer

from weft.cli import checkpoints, columns, complete, copies, creation, errands, listing, renewal, show
from weft.cli.actions import Action, Ask, DryRun, Name, act, collection, each, machines_on, print_dry
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import interface_ref, last_of, machine_ref, server_ref
from weft.cli.show import Format, Output
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES
from weft.wire.client import WEFT, Client, path_of

app = typer.Typer(help="Virtual machines.", no_args_is_help=True)

To = Annotated[str, typer.Option("--to", metavar="HOST", help="The server.", autocompletion=complete.servers)]


@app.command("start", epilog=EPILOG)
def start(
    ctx: typer.Context,
    name: Name,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Start a machine; answers when it runs on its host.

    \b
    weft vm start web1
    """
    act(ctx, Action(name, "start"), Ask(output, controller, dry_run))


@app.command("stop", epilog=EPILOG)
def stop(
    ctx: typer.Context,
    name: Name,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Stop a machine; it keeps its addresses.

    \b
    weft vm stop web1
    """
    act(ctx, Action(name, "stop"), Ask(output, controller, dry_run))


@app.command("save", epilog=EPILOG)
def save(
    ctx: typer.Context,
    name: Name,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Save a running machine's memory and stop it; start resumes it with the addresses it had.

    \b
    weft vm save web1
    """
    act(ctx, Action(name, "save"), Ask(output, controller, dry_run))


@app.command("migrate", epilog=EPILOG)
def migrate(
    ctx: typer.Context,
    name: Name,
    to: To,
    force: Annotated[bool, typer.Option("--force", help="Also to a server whose agent never connected.")] = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Move a running machine to another host; answers when it runs there.

    \b
    weft vm migrate web1 --to host2
    """
    body = {"server": {"resourceRef": server_ref(to)}, "force": force}
    act(ctx, Action(name, "migrate", body), Ask(output, controller, dry_run))


@app.command("failover", epilog=EPILOG)
def failover(
    ctx: typer.Context,
    to: To,
    name: Annotated[str, typer.Argument(help="The machine.", autocompletion=complete.machines)] = "",
    dead: Annotated[
        str,
        typer.Option("--from", metavar="HOST", help="All machines of this dead host.", autocompletion=complete.servers),
    ] = "",
    fenced: Annotated[
        bool, typer.Option("--fenced", help="Their host still answers, but you have cut it off for good.")
    ] = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Bind a dead host's machine to another host as it was, with the addresses it had.

    \b
    weft vm failover web1 --to host2
    weft vm failover --from host1 --to host2
    """
    ask = Ask(output, controller, dry_run)
    body = {"server": {"resourceRef": server_ref(to)}} | ({"fenced": True} if fenced else {})

    async def work(client: Client) -> None:
        # a template runs nowhere: it has nothing to go on with
        there = [vm for vm in await machines_on(client, dead) if not vm["properties"].get("isTemplate")]
        await each(client, [Action(vm["resourceId"], "failover", body) for vm in there], ask)
        if not there:
            show.say(f"no machine is on {last_of(dead)}")

    if bool(name) == bool(dead):
        _misused(ctx, "name one machine, or its dead host with --from HOST; see: weft vm failover --help")
    if name:
        act(ctx, Action(name, "failover", body), ask)
    run(ctx, controller, work)


def _misused(ctx: typer.Context, why: str) -> None:
    async def refuse(client: Client) -> None:
        raise Misuse(why)

    run(ctx, "", refuse)


@app.command("list", epilog=EPILOG)
def list_all(
    ctx: typer.Context,
    server: Annotated[str, typer.Option("--server", help="Only on this host.", autocompletion=complete.servers)] = "",
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List machines.

    \b
    weft vm list --server host1
    """

    async def work(client: Client) -> None:
        listing.several(VIRTUAL_MACHINES, await machines_on(client, server), output)

    run(ctx, controller, work)


@app.command("delete", epilog=EPILOG)
def delete(
    ctx: typer.Context,
    name: Name,
    interfaces: Annotated[
        bool, typer.Option("--interfaces", help="Its network interfaces too; else they stay, with their addresses.")
    ] = False,
    keep_disks: Annotated[
        bool, typer.Option("--keep-disks", help="Not the disks that were made for it; does not wait for its host.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Delete a machine and its checkpoints; says what goes, and asks before.

    \b
    weft vm delete web1
    weft vm delete web1 --interfaces --yes
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        machine = await client.get(path_of(machine_ref(name)))
        taken = await client.list_all(collection(name, CHECKPOINTS))
        its_own = [columns.name_of(ref) for ref in machine["properties"].get("networkInterfaces") or ()]
        if not dry_run:
            said = _what_goes(name, [each["resourceId"] for each in taken], its_own, interfaces)
            confirm(said + _what_its_host_loses(machine["properties"], keep_disks), yes)
        paths = [path_of(machine_ref(name))]
        if machine["properties"].get("hardware") and not (keep_disks or dry_run):
            # its host has to remove it, with the disks that were made for it; the rest of it is a batch
            await client.delete(paths[0], ask.write)
        paths += [path_of(interface_ref(each)) for each in its_own] if interfaces else []
        requests = [{"method": "DELETE", "path": path} for path in paths]
        answer = await client.post(f"{WEFT}/batch", {"atomic": True, "requests": requests}, ask.write)
        if dry_run:
            print_dry(answer.body, output)
            return
        for path in paths:
            print(f"{'/'.join(path.split('/')[-2:])} deleted")

    run(ctx, controller, work)


def _what_goes(name: str, taken: list[str], its_own: list[str], with_interfaces: bool) -> str:
    said = [f"deletes {last_of(name)}"]
    if taken:
        said.append(f"and with it its checkpoints {', '.join(taken)}: what only they hold is released")
    if its_own:
        verb = "and its interfaces, which give their addresses back" if with_interfaces else "but not its interfaces"
        said.append(f"{verb}: {', '.join(its_own)}")
    return "; ".join(said)


def _what_its_host_loses(properties: dict[str, Any], keep_disks: bool) -> str:
    """Power and data, which nobody brings back."""
    made = [
        each["path"]
        for each in (properties.get("hardware") or {}).get("disks") or ()
        if each.get("sizeGib") or each.get("source")
    ]
    said = "; it runs" if properties.get("powerState") == "Running" else ""
    if made and not keep_disks:
        said += f"; and of these disks those that were made for it (--keep-disks leaves them): {', '.join(made)}"
    return said


app.add_typer(creation.app)
app.add_typer(checkpoints.app)
app.add_typer(errands.app)
app.add_typer(copies.app)
app.add_typer(renewal.app)
