"""`weft vm renew-mac`: the only way to change a machine's MAC address; says first what that breaks."""

from typing import Annotated, Any

import typer

from weft.cli import complete
from weft.cli.actions import Action, Ask, DryRun, Name, collection, print_dry
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.listing import one
from weft.cli.names import interface_ref, last_of, machine_ref, read_mac
from weft.cli.show import Format, Output
from weft.cli.texts import mac_of, name_of
from weft.model.kinds import CHECKPOINTS, NETWORK_INTERFACES
from weft.model.values import mac_dashes
from weft.wire.client import Client, Write, path_of

app = typer.Typer()


@app.command("renew-mac", epilog=EPILOG)
def renew_mac(
    ctx: typer.Context,
    name: Name,
    nic: Annotated[
        str, typer.Option("--nic", help="Which interface, if it has several.", autocompletion=complete.interfaces)
    ] = "",
    mac: Annotated[str, typer.Option("--mac", help="This address; else one is granted.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also while it runs.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Give a machine's interface another MAC address; the old one cools down. Says what that breaks, and asks.

    \b
    weft vm renew-mac web1
    weft vm renew-mac web1 --nic web1-eth1 --mac 00-1D-D8-B7-1C-40 --force
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        machine = await client.get(path_of(machine_ref(name)))
        interface = _which(machine, nic)
        body: dict[str, Any] = {"networkInterface": {"resourceRef": interface_ref(interface)}, "force": force}
        body |= {"macAddress": mac_dashes(read_mac(mac))} if mac else {}
        action = Action(name, "renewMac", body)
        if not dry_run:
            # what would be refused is refused before anybody is asked
            await client.post(action.path, action.body, Write(dry_run=True))
            confirm(await _what_breaks(client, machine, interface), yes)
        answer = (await client.post(action.path, action.body, ask.write)).body
        if dry_run:
            print_dry(answer, output)
        else:
            one(NETWORK_INTERFACES, await client.get(path_of(interface_ref(interface))), output)

    run(ctx, controller, work)


def _which(machine: Any, nic: str) -> str:
    """The interface's name. Raises Misuse where it is not clear which one is meant."""
    its_own = [name_of(ref) for ref in machine["properties"].get("networkInterfaces") or ()]
    if nic:
        return last_of(nic)
    if len(its_own) != 1:
        has = f"has {', '.join(its_own)}; choose one with --nic" if its_own else "has no network interface"
        raise Misuse(f"{machine['resourceId']} {has}")
    return its_own[0]


async def _what_breaks(client: Client, machine: Any, interface: str) -> str:
    """Who knows the machine by the address that it gives up."""
    old = mac_of((await client.get(path_of(interface_ref(interface))))["properties"])
    said = [f"{interface} gives up {old}. What knows {machine['resourceId']} by that address no longer will:"]
    said.append("  DHCP reservations, licences, firewall rules; in the guest a saved name of the adapter")
    if machine["properties"].get("powerState") == "Running":
        said.append("  it runs: its traffic stops until the guest has the new address (a restart gives it)")
    checkpoints = await client.list_all(collection(machine["resourceId"], CHECKPOINTS))
    holding = [each["resourceId"] for each in checkpoints if old and old in str(each["properties"])]
    if holding:
        said.append(f"  checkpoints {', '.join(holding)} keep {old}: restoring one brings it back")
    return "\n".join(said)
