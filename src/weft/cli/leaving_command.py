"""`weft leave-vlans`: files that move the interfaces of VLANs into virtual networks, one VLAN at a time."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from weft.cli import show
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.leaving_vlans import Leaving, plan
from weft.model.errors import Invalid
from weft.wire.client import Client, path_of

app = typer.Typer()

FIRST, BACK = "00-networks.yaml", "back"


class CannotLeave(Invalid):
    """Something has to change before VLANs can be left; the message names each."""

    code = "CannotLeave"


@app.command("leave-vlans", epilog=EPILOG)
def leave_vlans(
    ctx: typer.Context,
    networks: Annotated[list[str], typer.Argument(metavar="LOGICALNETWORK...", help="Whose VLANs to leave.")],
    provider: Annotated[str, typer.Option("--provider", help="The logical network that carries tunnels.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder for the files.")],
    together: Annotated[
        bool, typer.Option("--together", help="One virtual network for each logical one: its subnets are routed.")
    ] = False,
    controller: Controller = "",
) -> None:
    """Write files that move the interfaces of VLANs into virtual networks, VLAN by VLAN, without another address.

    \b
    weft leave-vlans shops desks --provider hnvpa -o leaving
    weft apply -f leaving/00-networks.yaml
    weft apply -f leaving/001-shops-v20.yaml --dry-run
    """

    async def work(client: Client) -> None:
        _check_new(output)
        await client.get(path_of(f"/logicalNetworks/{_id(provider)}"))  # or NotFound, before anything is written
        logical = [await client.get(path_of(f"/logicalNetworks/{_id(name)}")) for name in networks]
        interfaces = await client.list_all(path_of("/networkInterfaces"))
        found = plan(logical, interfaces, f"/logicalNetworks/{_id(provider)}", together)
        if found.faults:
            raise CannotLeave("\n".join(found.faults))
        _write(found, output)

    run(ctx, controller, work)


def _id(name: str) -> str:
    return name.strip("/").rpartition("/")[2]


def _check_new(folder: Path) -> None:
    """One with files may be that of steps that were taken: what would put them back must not be written over. Raises
    Misuse."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise _no_room(folder, "there are files in it")
    except OSError as error:
        raise _no_room(folder, str(error.strerror)) from error


def _no_room(folder: Path, why: str) -> Misuse:
    return Misuse(f"-o {folder}: {why}; name a folder that is not there yet, or an empty one")


def _write(found: Leaving, folder: Path) -> None:
    try:
        (folder / BACK).mkdir(parents=True)
        _put(folder / FIRST, found.networks)
        width = len(str(len(found.steps)))
        rows = []
        for number, (name, forth, back) in enumerate(found.steps, 1):
            file = f"{number:0{max(3, width)}d}-{name}.yaml"
            _put(folder / file, forth)
            _put(folder / BACK / file, back)
            rows.append((str(folder / file), len(forth)))
    except OSError as error:
        raise _no_room(folder, str(error.strerror)) from error
    show.table(["step", "interfaces"], [(str(folder / FIRST), ""), *rows])
    for note in found.notes:
        show.say(note)


def _put(file: Path, documents: Iterable[dict[str, Any]]) -> None:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump_all(list(documents), out)
    file.write_text(out.getvalue(), encoding="utf-8")
