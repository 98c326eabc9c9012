"""`weft nic`: network interfaces with their granted addresses."""

from typing import Annotated, Any

import typer

from weft.cli import complete, listing
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import by_name, interface_ref, read_mac, subnet_ref
from weft.cli.resources import Timeout, Wait
from weft.cli.show import Format, Output
from weft.model.errors import PreconditionFailed
from weft.model.kinds import NETWORK_INTERFACES
from weft.model.values import mac_digits
from weft.wire.client import Client, Write, path_of

app = typer.Typer(help="Network interfaces.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The interface.", autocompletion=complete.interfaces)]


@app.command("create", epilog=EPILOG)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A new name.")],
    subnet: Annotated[
        str, typer.Option("--subnet", metavar="NETWORK/SUBNET", help="Where it is.", autocompletion=complete.subnets)
    ],
    mac: Annotated[str, typer.Option("--mac", help="This MAC address, in any notation; else one is granted.")] = "",
    ip: Annotated[list[str] | None, typer.Option("--ip", help="This address; else one is granted. May repeat.")] = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Make an interface and grant it a MAC and an IP address.

    \b
    weft nic create web1-eth0 --subnet blue/web
    weft nic create web2-eth0 --subnet blue/web --mac 00-1D-D8-B7-1C-07 --ip 10.1.1.12
    """

    async def work(client: Client) -> None:
        body = {"resourceId": name, "properties": _properties(subnet_ref(subnet), mac, ip or [])}
        write = Write(wait_s=timeout if wait else 0.0, if_none_match="*")
        try:
            answer = await client.put(path_of(interface_ref(name)), body, write)
        except PreconditionFailed as error:
            message = f"networkInterfaces/{name} exists already; see weft nic show {name}, or change it with weft apply"
            raise PreconditionFailed(message, code=error.code) from error
        listing.one(NETWORK_INTERFACES, answer.body, output)

    run(ctx, controller, work)


def _properties(subnet: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    """Dynamic where nothing is asked for."""
    properties: dict[str, Any] = {"privateMacAllocationMethod": "Dynamic"}
    if mac:
        properties = {"privateMacAllocationMethod": "Static", "privateMacAddress": mac_digits(read_mac(mac))}
    properties["ipConfigurations"] = [
        {
            "resourceId": f"ip{i}",
            "properties": {
                "subnet": {"resourceRef": subnet},
                "privateIPAllocationMethod": "Static" if address else "Dynamic",
                **({"privateIPAddress": address} if address else {}),
            },
        }
        for i, address in enumerate(addresses or [""], start=1)
    ]
    return properties


@app.command("show", epilog=EPILOG)
def show_one(ctx: typer.Context, name: Name, output: Output = Format.table, controller: Controller = "") -> None:
    """Show one interface with its addresses.

    \b
    weft nic show web1-eth0
    """

    async def work(client: Client) -> None:
        listing.one(NETWORK_INTERFACES, await client.get(path_of(interface_ref(name))), output)

    run(ctx, controller, work)


@app.command("list", epilog=EPILOG)
def list_all(
    ctx: typer.Context,
    subnet: Annotated[
        str, typer.Option("--subnet", metavar="NETWORK/SUBNET", help="Only these.", autocompletion=complete.subnets)
    ] = "",
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List interfaces.

    \b
    weft nic list --subnet blue/web
    """

    async def work(client: Client) -> None:
        found = by_name(await client.list_all(path_of("/networkInterfaces")))
        wanted = subnet_ref(subnet).lower() if subnet else ""
        attached = [nic for nic in found if not wanted or wanted in _subnets_of(nic)]
        if subnet and not attached:
            await client.get(path_of(subnet_ref(subnet)))  # raises NotFound where the name is none
        listing.several(NETWORK_INTERFACES, attached, output)

    run(ctx, controller, work)


def _subnets_of(nic: Any) -> list[str]:
    configurations = nic["properties"].get("ipConfigurations") or ()
    refs = [(c["properties"].get("subnet") or {}).get("resourceRef", "") for c in configurations]
    return [ref.lower() for ref in refs]
