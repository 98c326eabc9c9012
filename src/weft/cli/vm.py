"""`weft vm`: machines, their power, their moves and their end."""

from typing import Annotated, Any

import msgspec
import typer

from weft.cli import checkpoints, complete, copies, creation, errands, listing, renewal, show, texts
from weft.cli.actions import Action, Ask, DryRun, Name, act, collection, each, machines_on, print_dry
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import interface_ref, last_of, machine_ref, server_ref
from weft.cli.show import Format, Output
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES
from weft.wire.client import WEFT, Client, Write, path_of

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
        found = await machines_on(client, server)
        if server and not found:
            await client.get(path_of(server_ref(server)))  # raises NotFound where the name is none
        listing.several(VIRTUAL_MACHINES, found, output)

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
    force: Annotated[
        bool, typer.Option("--force", help="Although it runs and was taken in: its host lets it run on.")
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
    going = _Going(name, interfaces, Write(dry_run=dry_run, force=force, keep_disks=keep_disks))

    async def work(client: Client) -> None:
        machine = await client.get(path_of(machine_ref(name)))
        if dry_run:
            print_dry(await _delete(client, machine, going), output)
            return
        # what would be refused is refused before anybody is asked
        await client.delete(path_of(machine_ref(name)), msgspec.structs.replace(going.write, dry_run=True))
        confirm(await _what_goes(client, machine, going), yes)
        await _delete(client, machine, going)
        for path in going.paths(machine):
            print(f"{'/'.join(path.split('/')[-2:])} deleted")

    run(ctx, controller, work)


class _Going(msgspec.Struct, frozen=True):
    """What is to be deleted of a machine, and how."""

    name: str
    interfaces: bool
    write: Write

    def paths(self, machine: Any) -> list[str]:
        """The machine's own first."""
        its_own = _interfaces(machine) if self.interfaces else []
        return [path_of(ref) for ref in (machine_ref(self.name), *map(interface_ref, its_own))]


def _interfaces(machine: Any) -> list[str]:
    return [texts.name_of(ref) for ref in machine["properties"].get("networkInterfaces") or ()]


async def _delete(client: Client, machine: Any, going: _Going) -> Any:
    """In one revision where no host has a part in it."""
    p, paths = machine["properties"], going.paths(machine)
    on_host = p.get("hardware") or (p.get("hypervisor") or {}).get("id")
    if going.write.force or (on_host and not going.write.dry_run):
        # a host may have to remove it, with the disks that were made for it; the rest of it is a batch
        answer = await client.delete(paths[0], going.write)
        if going.write.dry_run:
            return answer.body
    requests = [{"method": "DELETE", "path": path} for path in paths]
    write = Write(dry_run=going.write.dry_run)
    return (await client.post(f"{WEFT}/batch", {"atomic": True, "requests": requests}, write)).body


async def _what_goes(client: Client, machine: Any, going: _Going) -> str:
    taken = [each["resourceId"] for each in await client.list_all(collection(going.name, CHECKPOINTS))]
    its_own = _interfaces(machine)
    said = [f"deletes {last_of(going.name)}"]
    if taken:
        said.append(f"and with it its checkpoints {', '.join(taken)}: what only they hold is released")
    if its_own:
        verb = "and its interfaces, which give their addresses back" if going.interfaces else "but not its interfaces"
        said.append(f"{verb}: {', '.join(its_own)}")
    return "; ".join(said) + _what_its_host_loses(machine["properties"], going.write)


def _what_its_host_loses(properties: dict[str, Any], write: Write) -> str:
    """Power and data, which nobody brings back."""
    hardware = properties.get("hardware")
    made = [each["path"] for each in (hardware or {}).get("disks") or () if each.get("sizeGib") or each.get("source")]
    said = "; it runs" if properties.get("powerState") == "Running" else ""
    if said and write.force and not hardware:
        said += ", and its host may let it run on"
    if made and not write.keep_disks:
        said += f"; and of these disks those that were made for it (--keep-disks leaves them): {', '.join(made)}"
    return said


app.add_typer(creation.app)
app.add_typer(checkpoints.app)
app.add_typer(errands.app)
app.add_typer(copies.app)
app.add_typer(renewal.app)
