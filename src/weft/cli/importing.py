"""`weft import`: take an inventory into the ledger as it is. Nothing is changed on any host.

Hosts become unmanaged servers with the ranges that they draw from, machines are adopted with their addresses and those
of their checkpoints, clashes and all. A second run changes nothing.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from weft.cli import show
from weft.cli.adoption import Adoption, Present, Step, Subnet, is_marked, marked, plan
from weft.cli.desk import DONE, EPILOG, REFUSED, Controller, Misuse, run
from weft.cli.inventory import read_inventory
from weft.cli.names import subnet_ref
from weft.cli.texts import name_of
from weft.core.audit.findings import NOTICE, Report, counted
from weft.core.audit.report import report_on
from weft.model.inventory import Inventory
from weft.wire.client import NETWORKING, WEFT, Client, path_of

app = typer.Typer()

BATCH = 200
"""Machines of one request: each is decided for itself, and a person sees the bar move."""
MOST = 20
"""So many clashes are listed."""


class Outcome(msgspec.Struct):
    """What became of it."""

    refused: list[str] = []


@app.command("import", epilog=EPILOG)
def import_files(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files, folders, HOST=FILE, or - for standard input.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NETWORK=SUBNET", help="The subnet of a network or switch; NETWORK:VLAN=SUBNET."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, change nothing.")] = False,
    controller: Controller = "",
) -> None:
    """Take an inventory of machines that run elsewhere into the ledger, as it is; changes nothing on hosts.

    Reads what weft audit reads. Without --map the MAC addresses are taken in; with it also the IP addresses, and who
    can meet whom.

    \b
    weft import hyperv.json --dry-run
    weft import hyperv.json --map "VM Network:20=/logicalNetworks/corp/subnets/web"
    weft import kvm1=dumpxml.xml --map br0=blue/web
    """

    async def work(client: Client) -> int:
        read = read_inventory(files)
        subnets = await _subnets(client, mapping or [], _networks(read.inventory))
        present = Present(
            tuple(await client.list_all(f"{NETWORKING}/servers")),
            tuple(await client.list_all(f"{WEFT}/virtualMachines")),
        )
        adoption = plan(read.inventory, subnets, present)
        if dry_run:
            _print_plan(adoption)
        outcome = Outcome() if dry_run else await _carry_out(client, adoption, present)
        _remark(adoption, read.inventory)
        await _print_clashes(client, report_on(read.survey), dry_run)
        _print_end(adoption, outcome, dry_run)
        return REFUSED if outcome.refused else DONE

    run(ctx, controller, work)


def _networks(inventory: Inventory) -> set[str]:
    """What --map may name: networks and switches of the inventory, bare and with their VLAN, lower case."""
    found: set[str] = set()
    for machine in inventory.machines:
        for adapter in machine.interfaces:
            name = (adapter.network or adapter.switch).lower()
            found |= {name, f"{name}:{adapter.vlan or 0}"}
    return found


async def _subnets(client: Client, mapping: Sequence[str], networks: set[str]) -> dict[str, Subnet]:
    """By the name of the network, lower case. Raises Misuse, also for a network that is not in the inventory, since its
    addresses would come in with no subnet for good; and NotFound for a subnet that is not there."""
    found: dict[str, Subnet] = {}
    for text in mapping:
        name, equals, ref = text.rpartition("=")
        if not (name and equals and ref):
            raise Misuse(f"--map {text}: write NETWORK=SUBNET such as br0=corp/web, or NETWORK:VLAN=SUBNET")
        if name.lower() not in networks:
            there = ", ".join(sorted(each for each in networks if ":" not in each and each)) or "no network"
            raise Misuse(f"--map {text}: no machine has an interface in {name}; the inventory has {there}")
        wanted = subnet_ref(ref)
        properties = (await client.get(path_of(wanted)))["properties"]
        partner = properties.get("dualStackSubnet")
        prefixes = [properties.get("addressPrefix")]
        if partner:
            prefixes.append((await client.get(path_of(partner["resourceRef"])))["properties"].get("addressPrefix"))
        found[name.lower()] = Subnet(wanted, tuple(prefix for prefix in prefixes if prefix))
    return found


async def _carry_out(client: Client, adoption: Adoption, present: Present) -> Outcome:
    """Servers first, since machines name them; then machines, then what an import cannot say of them."""
    outcome = Outcome()
    there = {str(each["resourceId"]).lower(): each for each in present.machines}
    todo = [step for step in (*adoption.servers, *adoption.machines) if step.action != "unchanged"]
    with _bar() as bar:
        task = bar.add_task("importing", total=len(todo))
        for steps in (adoption.servers, adoption.machines):
            for some in _some_of([step for step in steps if step.action != "unchanged"]):
                answers = await _send(client, [step for step in some if step.request], outcome)
                if steps is adoption.machines:
                    there |= answers
                await _mark(client, some, there, outcome)
                bar.advance(task, len(some))
    return outcome


def _bar() -> Progress:
    """On standard error, where a person looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty(), transient=True)


def _some_of(steps: Sequence[Step]) -> Iterable[Sequence[Step]]:
    return (steps[at : at + BATCH] for at in range(0, len(steps), BATCH))


async def _send(client: Client, steps: Sequence[Step], outcome: Outcome) -> dict[str, Any]:
    """Each for itself; what was taken, as answered, by its id in lower case."""
    if not steps:
        return {}
    body = {"atomic": False, "requests": [step.request for step in steps]}
    responses = (await client.post(f"{WEFT}/batch", body)).body["responses"]
    taken: dict[str, Any] = {}
    for step, response in zip(steps, responses, strict=True):
        if response["status"] >= 400:
            error = response["body"]["error"]
            outcome.refused.append(f"{step.name}: {error['code']}: {error['message']}")
        elif response["body"]:
            taken[str(response["body"]["resourceId"]).lower()] = response["body"]
    return taken


async def _mark(client: Client, steps: Sequence[Step], there: dict[str, Any], outcome: Outcome) -> None:
    marks = [
        msgspec.structs.replace(step, request=marked(there[made], step.marks))
        for step in steps
        if step.marks
        and (made := step.name.partition(" (")[0].rpartition("/")[2].lower()) in there
        and not is_marked(there[made], step.marks)
    ]
    await _send(client, marks, outcome)


def _print_plan(adoption: Adoption) -> None:
    rows = [[step.action, step.name, _contents(step)] for step in (*adoption.servers, *adoption.machines)]
    if rows:
        show.table(["action", "resource", "addresses"], rows)


def _contents(step: Step) -> str:
    body = step.request.get("body", {})
    if "dynamicMacRange" in body.get("properties", {}):
        return "draws from {first} to {last}".format(**body["properties"]["dynamicMacRange"])
    interfaces = body.get("networkInterfaces", ())
    words = [
        address for each in interfaces for address in (each["macAddress"], *each.get("ipAddresses", ())) if address
    ]
    held = [each["resourceId"] for each in body.get("checkpoints", ())]
    return ", ".join(words) + (f"; checkpoints {', '.join(held)}" if held else "")


def _remark(adoption: Adoption, inventory: Inventory) -> None:
    for network, addresses in adoption.unmapped:
        if addresses:
            show.say(f"note: {network}: {counted(addresses, 'IP address')} left out; name its subnet with --map")
    for text in adoption.outside:
        show.say(f"note: {text}; it is left out")
    for text in adoption.moved:
        show.say(f"note: {text}; an import moves nothing")
    homeless = [machine.name for machine in inventory.machines if not machine.host and machine.power.lower() != "off"]
    for name in homeless:
        show.say(f"note: {name} names no host, so it is taken in as Off")


async def _print_clashes(client: Client, report: Report, dry_run: bool) -> None:
    """What the ledger says clashes now, then what the audit says will."""
    found = [] if dry_run else await client.list_all(f"{WEFT}/conflicts")
    if found:
        print()
        rows = [[each["address"], each["kind"], _holders(each), each["remedy"]] for each in found[:MOST]]
        show.table(["clash", "kind", "holders", "remedy"], rows)
        if len(found) > MOST:
            print(f"... and {len(found) - MOST} more: weft conflicts")
    worth = [finding for finding in report.findings if finding.severity != NOTICE]
    if worth:
        print()
        show.table(["finding", "code", "what"], [[one.severity, one.code, one.summary] for one in worth[:MOST]])
        more = f"... and {len(worth) - MOST} more. " if len(worth) > MOST else ""
        print(f"{more}Steps, remedies and commands: weft audit FILE")


def _holders(conflict: Any) -> str:
    return ", ".join(name_of(holder["resourceRef"]) for holder in conflict["holders"])


_DONE = {"create": "created", "adopt": "adopted", "change": "changed"}


def _print_end(adoption: Adoption, outcome: Outcome, dry_run: bool) -> None:
    for text in outcome.refused:
        show.say(f"refused: {text}")
    count = Counter(
        ("server" if step.name.startswith("servers/") else "machine", step.action)
        for step in (*adoption.servers, *adoption.machines)
    )
    work = sum(number for (_, action), number in count.items() if action in _DONE)
    if not work:
        print(f"nothing changed: {count.total()} servers and machines are there already")
        return
    parts = [f"{counted(number, kind)} {_DONE[action]}" for (kind, action), number in count.items() if action in _DONE]
    parts.append(f"{count.total() - work} unchanged")
    refused = f", {len(outcome.refused)} of them refused" if outcome.refused else ""
    print(f"{'dry run, nothing was changed; would be ' if dry_run else ''}{', '.join(parts)}{refused}")
