"""`weft vm`: machines, their power and their moves."""

from typing import Annotated, Any

import typer

from weft.cli import columns, complete, listing
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import by_name
from weft.cli.show import Format, Output
from weft.model.kinds import VIRTUAL_MACHINES
from weft.wire.client import Client, path_of

app = typer.Typer(help="Virtual machines.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The machine.", autocompletion=complete.machines)]


@app.command("start", epilog=EPILOG)
def start(ctx: typer.Context, name: Name, output: Output = Format.table, controller: Controller = "") -> None:
    """Start a machine; answers when it runs on its host.

    \b
    weft vm start web1
    """
    _act(ctx, controller, (name, "start", {}), output)


@app.command("stop", epilog=EPILOG)
def stop(ctx: typer.Context, name: Name, output: Output = Format.table, controller: Controller = "") -> None:
    """Stop a machine; it keeps its addresses.

    \b
    weft vm stop web1
    """
    _act(ctx, controller, (name, "stop", {}), output)


@app.command("migrate", epilog=EPILOG)
def migrate(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Option("--to", metavar="HOST", help="The server.", autocompletion=complete.servers)],
    force: Annotated[bool, typer.Option("--force", help="Also to a server whose agent never connected.")] = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Move a running machine to another host; answers when it runs there.

    \b
    weft vm migrate web1 --to host2
    """
    server = "/servers/" + to.strip("/").split("/")[-1]
    _act(ctx, controller, (name, "migrate", {"server": {"resourceRef": server}, "force": force}), output)


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
        found = by_name(await client.list_all(path_of("/virtualMachines")))
        wanted = server.strip("/").split("/")[-1].lower()
        there = [vm for vm in found if not wanted or _server_of(vm) == wanted]
        listing.several(VIRTUAL_MACHINES, there, output)

    run(ctx, controller, work)


def _server_of(vm: Any) -> str:
    return columns.name_of(vm["properties"].get("server")).lower()


def _act(ctx: typer.Context, controller: str, action: tuple[str, str, dict[str, Any]], output: Format) -> None:
    """POST an action and show the machine as it is now."""
    name, verb, body = action

    async def work(client: Client) -> None:
        ref = "/virtualMachines/" + name.strip("/").split("/")[-1]
        answer = await client.post(f"{path_of(ref)}/{verb}", body)
        listing.one(VIRTUAL_MACHINES, answer.body, output)

    run(ctx, controller, work)
