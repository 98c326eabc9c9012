"""`weft trace`, `policy`: what the controller has told the hosts."""

import enum
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from weft.cli import complete, show
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import end_of_trace, interface_ref, last_of
from weft.cli.show import Format, Output
from weft.wire.client import WEFT, Client

app = typer.Typer()

Host = Annotated[str, typer.Argument(metavar="HOST", help="The server.", autocompletion=complete.servers)]


@app.command("trace", epilog=EPILOG)
def trace(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="An interface.", autocompletion=complete.interfaces)],
    to: Annotated[
        str, typer.Argument(metavar="TO", help="An address or interface.", autocompletion=complete.interfaces)
    ],
    protocol: Annotated[str, typer.Option("--protocol", help="icmp, icmpv6, tcp or udp.")] = "",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Destination port of tcp and udp.")
    ] = None,
    source_port: Annotated[
        int | None, typer.Option("--source-port", min=0, max=65535, help="Source port; else one that clients take.")
    ] = None,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Follow a packet through the records: would it arrive, and if not, what is missing?

    \b
    weft trace web1-eth0 10.1.1.12
    weft trace web1-eth0 db1-eth0 --protocol tcp --port 5432
    """
    asked: dict[str, Any] = {"from": interface_ref(source), "to": end_of_trace(to)}
    asked |= {"protocol": protocol.lower()} if protocol else {}
    asked |= {"port": port} if port is not None else {}
    asked |= {"sourcePort": source_port} if source_port is not None else {}

    async def work(client: Client) -> None:
        found = (await client.post(f"{WEFT}/trace", asked)).body
        if output is not Format.table:
            show.as_yaml([found]) if output is Format.yaml else show.as_json(found)
            return
        _print_trace(found)

    run(ctx, controller, work)


def _print_trace(found: Any) -> None:
    steps = [s if isinstance(s, dict) else {"text": str(s)} for s in found.get("path") or ()]
    if steps:
        show.table(
            ["host", "stage", "what happens", "record"],
            [[s.get(m) for m in ("host", "stage", "text", "record")] for s in steps],
        )
        print()
    print(("delivered" if found.get("delivered") else "not delivered") + f": {show.clean(found.get('reason'))}")
    if found.get("decidedBy"):
        print(f"decided by: {show.clean(found['decidedBy'])}")
    if found.get("missing"):
        print("missing: " + ", ".join(f"{name} {show.clean(value)}" for name, value in found["missing"].items()))


class PolicyFormat(enum.StrEnum):
    table = "table"
    json = "json"
    yaml = "yaml"
    powershell = "powershell"


class Hnv(enum.StrEnum):
    v1 = "v1"
    v2 = "v2"


@app.command("policy", epilog=EPILOG)
def policy(
    ctx: typer.Context,
    server: Host,
    output: Annotated[
        PolicyFormat,
        typer.Option("--output", "-o", help="How to print it; powershell: a script that puts it in place."),
    ] = PolicyFormat.table,
    hnv: Annotated[
        Hnv | None,
        typer.Option("--hnv", help="Of -o powershell: version 1 of Network Virtualization, or 2: port profiles only."),
    ] = None,
    controller: Controller = "",
) -> None:
    """Show every record that a host has been told.

    \b
    weft policy host1
    weft policy host1 -o json
    weft policy host1 -o powershell > host1.ps1
    """
    if hnv is not None and output is not PolicyFormat.powershell:
        raise typer.BadParameter("--hnv belongs to -o powershell")
    path = f"{WEFT}/servers/{last_of(server)}/policy"

    async def work(client: Client) -> None:
        if output is PolicyFormat.powershell:
            print(await client.text(path, format="powershell", version=(hnv or Hnv.v1).value), end="")
            return
        found = await client.get(path)
        if output is not PolicyFormat.table:
            show.as_yaml([found]) if output is PolicyFormat.yaml else show.as_json(found)
            return
        for i, (title, records) in enumerate(_tables("", found)):
            print(("\n" if i else "") + title)
            heads = list(dict.fromkeys(member for record in records for member in record))
            show.table(
                [_words(head) for head in heads], [[_cell(record.get(head)) for head in heads] for record in records]
            )

    run(ctx, controller, work)


def _tables(path: str, value: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every list of records in the policy with the path that leads to it."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _tables(f"{path}/{name}".strip("/"), below)
    elif isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
        flat = [{k: v for k, v in record.items() if not _is_records(v)} for record in value]
        yield path, flat
        for record in value:
            named = str(record.get("resourceRef") or record.get("virtualNetwork") or record.get("rdid") or "")
            for name, below in record.items():
                if _is_records(below):
                    yield from _tables(f"{path} {named} {name}", below)


def _words(member: str) -> str:
    """customerAddress as a heading of two words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", member).lower()


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(v) for v in value)
    return json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
