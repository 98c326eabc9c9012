"""`weft hyperv`: for clusters of Hyper-V hosts whose machines must keep the dynamic addresses that their hosts draw.

Machines are told apart by their VMId, on every host that has an agent, whatever they and their checkpoints are called.
"""

from typing import Annotated, Any

import msgspec
import typer

from weft.cli import show
from weft.cli.addresses import plain
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import by_name
from weft.cli.show import Format, Output
from weft.core.naming import fits
from weft.wire.client import WEFT, Client, Write, path_of

app = typer.Typer(help="Hyper-V clusters that keep dynamic MAC addresses.", no_args_is_help=True)

_WHAT = {"possible": "can be blanked", "asked": "is being blanked", "done": "is blank"}


@app.callback()
def group() -> None:
    """Hyper-V clusters that keep dynamic MAC addresses."""


class Pick(msgspec.Struct, frozen=True):
    """Which checkpoints are meant: patterns with * and ?, in any case; machines by their id too."""

    machines: tuple[str, ...]
    server: str = "*"
    checkpoint: str = "*"

    def has(self, machine: Any, checkpoint: Any) -> bool:
        by_id = any(word.strip("{}").lower() == machine["id"].lower() for word in self.machines)
        named = by_id or any(fits(machine["name"], word) for word in self.machines)
        return named and fits(checkpoint["name"], self.checkpoint)


class Found(msgspec.Struct):
    """One checkpoint of those."""

    server: Any
    machine: Any
    checkpoint: Any

    @property
    def what(self) -> str:
        """What there is to do, or why it is left as it is."""
        return _WHAT.get(self.checkpoint["blanking"]) or f"is left: {self.checkpoint['reason']}"

    @property
    def holds(self) -> str:
        """The addresses that it would bring back."""
        return ", ".join(one["mac"] for one in self.checkpoint["adapters"] if one["mac"]) or "nothing"

    @property
    def row(self) -> list[str]:
        return [self.machine["name"], self.server["resourceId"], self.checkpoint["name"], self.holds, self.what]

    @property
    def ids(self) -> dict[str, str]:
        return {"machine": self.machine["id"].lower(), "checkpoint": self.checkpoint["id"].lower()}

    def as_json(self) -> dict[str, Any]:
        names = {"server": self.server["resourceId"], "machine": self.machine["name"], "id": self.machine["id"]}
        return {**names, "powerState": self.machine["powerState"], "checkpoint": self.checkpoint}


Machines = Annotated[list[str], typer.Argument(metavar="MACHINE...", help="VMIds, names, or patterns such as 'rds-*'.")]


@app.command("blank-checkpoints", epilog=EPILOG)
def blank_checkpoints(
    ctx: typer.Context,
    machines: Machines,
    server: Annotated[str, typer.Option("--server", help="Only on servers of such a name.")] = "*",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="Only checkpoints of such a name.")] = "*",
    apply: Annotated[bool, typer.Option("--apply", help="Blank those that can be; else they are only listed.")] = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List what checkpoints hold, and rid those that can be of the MAC addresses that hosts drew.

    \b
    weft hyperv blank-checkpoints 'rds *'
    weft hyperv blank-checkpoints 'rds *' --server 'hv*' --apply
    weft hyperv blank-checkpoints 5f0c6f0e-6f3c-4a53-9a5e-0b8f4d6a2c11 --apply
    """
    pick = Pick(tuple(machines), server, checkpoint)

    async def work(client: Client) -> None:
        found = await _look(client, pick)
        if apply:
            await _ask(client, found)
        if output is not Format.table:
            plain([one.as_json() for one in found], output)
            return
        if not found:
            show.say("no checkpoint of such a machine on any host whose agent is connected")
            return
        show.table(["machine", "server", "checkpoint", "holds", "the checkpoint"], [one.row for one in found])
        _tell(found, apply)

    run(ctx, controller, work)


async def _look(client: Client, pick: Pick) -> list[Found]:
    """On every host that has an agent; hosts that cannot be asked are named."""
    found: list[Found] = []
    for server in by_name(await client.list_all(path_of("/servers"))):
        name = server["resourceId"]
        if not fits(name, pick.server):
            continue
        told = await client.get(f"{WEFT}/servers/{name}/machines")
        if not told["connected"]:
            show.say(f"{name} has no agent that is connected: its checkpoints are not known")
        for machine in told["value"]:
            found += [Found(server, machine, one) for one in machine["checkpoints"] if pick.has(machine, one)]
    return found


async def _ask(client: Client, found: list[Found]) -> None:
    """Store on each server what its agent shall blank, beside what it was asked for before."""
    for server in {one.server["resourceId"]: one.server for one in found}.values():
        here = [one for one in found if one.server is server and one.checkpoint["blanking"] == "possible"]
        if not here:
            continue
        before = server["properties"].get("blankCheckpoints") or []
        properties = {**server["properties"], "blankCheckpoints": [*before, *(one.ids for one in here)]}
        write = Write(if_match=server["etag"])
        await client.put(path_of(server["resourceRef"]), {**server, "properties": properties}, write)
        for one in here:
            one.checkpoint["blanking"] = "asked"


def _tell(found: list[Found], apply: bool) -> None:
    counts = {what: sum(one.checkpoint["blanking"] == what for one in found) for what in ("possible", "asked", "no")}
    if counts["possible"] and not apply:
        show.say(f"nothing was changed; blank {counts['possible']} of them with --apply")
    elif counts["asked"]:
        show.say(f"{counts['asked']} are being blanked: list them again to see when they are")
    if counts["no"]:
        show.say(f"{counts['no']} are left as they are, for the reasons given")
