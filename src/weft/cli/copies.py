"""`weft vm clone`, `export`, `exports`, `delete-export`, `import`: machines made from machines."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from weft.cli import captures, complete, listing
from weft.cli.actions import Action, Ask, DryRun, Name, act, print_answer, print_dry
from weft.cli.captures import Capture
from weft.cli.confirm import Yes
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.host_machines import Existing, body_of
from weft.cli.names import last_of, read_mac, server_ref, subnet_ref
from weft.cli.show import Format, Output
from weft.model.kinds import EXPORTS, VIRTUAL_MACHINES
from weft.model.values import mac_dashes
from weft.wire.client import WEFT, Client

app = typer.Typer()

_IMPORT = f"{WEFT}/virtualMachines/import"


class Addresses(enum.StrEnum):
    keep = "keep"
    new = "new"
    if_taken = "newIfTaken"


@app.command("clone", epilog=EPILOG)
def clone(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the new machine.")],
    keep_addresses: Annotated[
        bool, typer.Option("--keep-addresses", help="A twin: the same addresses; only one of the two can run.")
    ] = False,
    to: Annotated[
        str,
        typer.Option("--to", metavar="HOST", help="Its server; else the source's.", autocompletion=complete.servers),
    ] = "",
    template: Annotated[
        bool, typer.Option("--template", help="Make a template: it keeps the networks, and holds no address.")
    ] = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Make a machine from a machine or a template, with new addresses in the same subnets; it is off at first.

    \b
    weft vm clone web1 web2
    weft vm clone web1 web1-standby --keep-addresses --to host2
    weft vm clone web1 web-template --template
    """
    body: dict[str, Any] = {"resourceId": new, "addresses": "keep" if keep_addresses else "new"}
    body |= {"server": {"resourceRef": server_ref(to)}} if to else {}
    body |= {"isTemplate": True} if template else {}
    act(ctx, Action(name, "clone", body), Ask(output, controller, dry_run))


@app.command("export", epilog=EPILOG)
def export(
    ctx: typer.Context,
    name: Name,
    export_name: Annotated[str, typer.Argument(metavar="EXPORT", help="A new name.")],
    path: Annotated[
        str, typer.Option("--path", metavar="FOLDER", help="On its host: the hypervisor exports it there.")
    ] = "",
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Note that a copy of a machine is kept outside: its addresses are held until the export is deleted.

    \b
    weft vm export web1 friday
    weft vm export web1 friday --path /exports
    """
    capture = Capture(EXPORTS, name, export_name)
    run(ctx, controller, lambda client: captures.take(client, capture, Ask(output, controller, dry_run), path))


@app.command("exports", epilog=EPILOG)
def list_exports(ctx: typer.Context, name: Name, output: Output = Format.table, controller: Controller = "") -> None:
    """List a machine's exports with what they hold, also when the machine is gone.

    \b
    weft vm exports web1
    """
    run(ctx, controller, lambda client: captures.show_all(client, EXPORTS, name, output))


@app.command("delete-export", epilog=EPILOG)
def delete_export(
    ctx: typer.Context,
    name: Name,
    export_name: Annotated[str, typer.Argument(metavar="EXPORT", autocompletion=complete.exports)],
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Delete an export: the copy outside is gone, and what only it held is released. Asks before.

    \b
    weft vm delete-export web1 friday
    """
    capture, ask = Capture(EXPORTS, name, export_name), Ask(output, controller, dry_run)
    loss = "others may get its addresses, so no machine may be made from that copy any more"
    run(ctx, controller, lambda client: captures.delete(client, capture, loss, yes, ask))


Subnets = Annotated[
    list[str] | None,
    typer.Option("--subnet", metavar="NETWORK/SUBNET", help="Where it is.", autocompletion=complete.subnets),
]


New = Annotated[str, typer.Argument(help="A new name; none with -f.")]
File = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON, a document per machine; all or none.")
]
Macs = Annotated[list[str] | None, typer.Option("--mac", help="Of an adapter; may repeat, one per adapter.")]
Ips = Annotated[list[str] | None, typer.Option("--ip", help="Of the same adapter; several with commas between.")]
There = Annotated[
    str, typer.Option("--existing", metavar="MACHINE", help="Name there, or id, of a machine that HOST has already.")
]
To = Annotated[str, typer.Option("--to", metavar="HOST", help="Its server.", autocompletion=complete.servers)]
OwnId = Annotated[str, typer.Option("--id", help="How its server's hypervisor knows it: UUID or VMId.")]
Which = Annotated[Addresses, typer.Option("--addresses", help="Those it has, new ones, or new where another has them.")]


@app.command("import", epilog=EPILOG)
def take_in(
    ctx: typer.Context,
    name: New = "",
    file: File = "",
    mac: Macs = None,
    ip: Ips = None,
    subnet: Subnets = None,
    existing: There = "",
    to: To = "",
    own_id: OwnId = "",
    addresses: Which = Addresses.keep,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Take in a machine that was made elsewhere, with the addresses it has. It is off at first; one that its host has
    already (--existing) is as its hypervisor says, which tells its MAC addresses and id too.

    \b
    weft vm import web9 --to host1 --mac 00-15-5D-03-05-01 --ip 10.1.1.99 --subnet blue/web
    weft vm import shop --to host1 --existing "Old shop" --ip 10.1.1.98 --subnet blue/web
    weft vm import -f machines.yaml --addresses newIfTaken
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        _check_one_source(name, file, existing, told=(mac, own_id), more=(ip, subnet, to))
        if file:
            await _import_all(client, [{"addresses": addresses.value, **each} for each in _documents(file)], ask)
            return
        if existing:
            asked = Existing(last_of(to), existing, addresses.value, ip or [], subnet or [])
            body = await body_of(client, name, asked)
        else:
            adapters = _adapters(mac or [], ip or [], subnet or [])
            body = _body(name, addresses, to, own_id) | {"networkInterfaces": adapters}
        print_answer(VIRTUAL_MACHINES, (await client.post(_IMPORT, body, ask.write)).body, ask)

    run(ctx, controller, work)


def _check_one_source(name: str, file: str, existing: str, told: Sequence[Any], more: Sequence[Any]) -> None:
    """`told` is what a host tells of a machine that it has. Raises Misuse."""
    if bool(file) == bool(name) or (file and (existing or any(told) or any(more))):
        raise Misuse("give either NAME with its adapters, or -f FILE; see: weft vm import --help")
    if existing and any(told):
        raise Misuse("--existing has the MAC addresses and the id that its host tells: leave out --mac and --id")


def _body(name: str, addresses: Addresses, to: str, own_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"resourceId": name, "addresses": addresses.value}
    body |= {"server": {"resourceRef": server_ref(to)}} if to else {}
    return body | ({"hypervisor": {"id": own_id}} if own_id else {})


def _adapters(macs: list[str], addresses: list[str], subnets: list[str]) -> list[dict[str, Any]]:
    """The first --mac, --ip and --subnet are the first adapter's. Raises Misuse."""
    count = max(len(macs), len(addresses), len(subnets))
    if count > 1 and any(given and len(given) != count for given in (macs, addresses, subnets)):
        raise Misuse(f"{count} adapters: give --mac, --ip and --subnet once for each, in one order, or use -f FILE")
    return [
        _adapter(*(given[at] if at < len(given) else "" for given in (macs, addresses, subnets))) for at in range(count)
    ]


def _adapter(mac: str, addresses: str, subnet: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if mac:
        found["macAddress"] = mac_dashes(read_mac(mac))
    if addresses:
        found["ipAddresses"] = [each.strip() for each in addresses.split(",") if each.strip()]
    return found | ({"subnet": {"resourceRef": subnet_ref(subnet)}} if subnet else {})


def _documents(path: str) -> list[dict[str, Any]]:
    """Each document is the body of an import. Raises Misuse."""
    try:
        text = typer.get_text_stream("stdin").read() if path == "-" else Path(path).read_text(encoding="utf-8")
        # every scalar as it is written: 00155E030501 is a MAC address and no number
        found = [each for each in YAML(typ="base", pure=True).load_all(text) if each]
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise Misuse(f"{path} cannot be read: {error}; write YAML or JSON as docs/api.md has it") from error
    found = [each for one in found for each in (one if isinstance(one, list) else [one])]
    if not found or not all(isinstance(each, dict) for each in found):
        raise Misuse(f"{path} holds no machine; write resourceId, server and networkInterfaces for each")
    return found


async def _import_all(client: Client, bodies: list[dict[str, Any]], ask: Ask) -> None:
    requests = [{"method": "POST", "path": _IMPORT, "body": body} for body in bodies]
    answer = (await client.post(f"{WEFT}/batch", {"atomic": True, "requests": requests}, ask.write)).body
    if ask.dry_run:
        print_dry(answer, ask.output)
    else:
        listing.several(VIRTUAL_MACHINES, [response["body"] for response in answer["responses"]], ask.output)
