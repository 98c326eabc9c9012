"""`weft host range` and `weft host addresses`: where a host's dynamic MAC addresses come from, and what is free there.

Added to `weft host` by weft.cli.hosts. A range is carried out by the host's agent; where there is none, the command
that does it is printed, for whoever has a PowerShell there.
"""

from typing import Annotated, Any

import msgspec
import typer

from weft.cli import complete, show, texts
from weft.cli.actions import Ask, DryRun, print_dry
from weft.cli.addresses import plain
from weft.cli.desk import EPILOG, Controller, Misuse, run
from weft.cli.names import last_of, read_mac, server_ref
from weft.cli.pools import print_addresses
from weft.cli.show import Format, Output
from weft.core.cmdlets import forget_range, set_vm_host
from weft.model.values import mac_dashes, parse_mac
from weft.wire.client import WEFT, Client, Write, path_of

app = typer.Typer()

Host = Annotated[str, typer.Argument(metavar="HOST", help="The server.", autocompletion=complete.servers)]
End = Annotated[str, typer.Argument(metavar="MAC", help="End of a range to apply; else the one that is proposed.")]
Bounds = tuple[int, int]


class _Known(msgspec.Struct):
    """A server, and what its agent and the controller say of its range."""

    server: Any
    state: Any

    @property
    def name(self) -> str:
        return str(self.server["resourceId"])

    def of(self, member: str) -> Any:
        """macRange, dynamicMacRange or wantedDynamicMacRange; None if there is none."""
        return self.server["properties"].get(member)

    @property
    def proposal(self) -> Any:
        return self.state["dynamicRange"]["proposal"]

    @property
    def wish(self) -> Any:
        """What its hypervisor should draw from: wanted, given by its plan, or proposed where it has none."""
        return self.of("wantedDynamicMacRange") or self.of("macRange") or self.proposal


@app.command("range", epilog=EPILOG)
def mac_range(
    ctx: typer.Context,
    server: Host,
    first: End = "",
    last: End = "",
    apply: Annotated[bool, typer.Option("--apply", help="Let the hypervisor draw from FIRST to LAST.")] = False,
    registry: Annotated[
        bool, typer.Option("--registry", help="How a Hyper-V host makes its range anew of its own address.")
    ] = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Show where a host's dynamic MAC addresses come from, or let it draw them from elsewhere.

    \b
    weft host range host1
    weft host range host1 --apply
    weft host range host1 00-15-5D-01-00-00 00-15-5D-01-00-FF --apply
    weft host range host1 --registry
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        given = _given(first, last, apply)
        path = path_of(server_ref(server))
        state = f"{WEFT}/servers/{last_of(server)}/state"
        known = _Known(await client.get(path), await client.get(state))
        if registry:
            print("\n".join(forget_range()))
        elif apply:
            await _apply(client, known, given, ask)
        else:
            _show(known, output)

    run(ctx, controller, work)


def _given(first: str, last: str, apply: bool) -> Bounds | None:
    """Raises Misuse."""
    if bool(first) != bool(last) or (first and not apply):
        raise Misuse("a range is two addresses and goes with --apply: weft host range HOST FIRST LAST --apply")
    return (read_mac(first), read_mac(last)) if first else None


def _show(known: _Known, output: Format) -> None:
    granted, drawn, wanted = (known.of(one) for one in ("macRange", "dynamicMacRange", "wantedDynamicMacRange"))
    line = _command(known, wanted or granted)
    if output is not Format.table:
        ranges = {"macRange": granted, "dynamicMacRange": drawn, "wantedDynamicMacRange": wanted}
        more = {"proposal": known.proposal, "addressPlan": known.of("addressPlan"), "command": line}
        plain({"server": known.name, **ranges, **more}, output)
        return
    rows = [["server", known.name], ["plan", texts.name_of(known.of("addressPlan"))]]
    rows += [["cluster", known.of("clusterNumber")], ["range of the plan", texts.range_text(granted)]]
    rows += [
        ["hypervisor draws from", texts.range_text(drawn) or _without_range(known)],
        ["shall draw from", texts.range_text(wanted)],
    ]
    rows += [["proposal", texts.range_text(known.proposal)]]
    show.table(["what", "value"], rows)
    if line and (wanted or granted) != drawn:
        show.say("on the host, so that what its hypervisor draws by itself is its own:")
        print(line)


def _command(known: _Known, wanted: Any) -> str | None:
    """The cmdlet that gives a Hyper-V host the range; None where there is none to give."""
    may_draw = wanted and wanted.get("first") and not _without_range(known)
    return set_vm_host(known.name, *_bounds(wanted)) if may_draw else None


def _bounds(found: Any) -> Bounds:
    return parse_mac(found["first"]), parse_mac(found["last"])


def _without_range(known: _Known) -> str:
    """Why there is none to draw from and none to set; empty where there may be one."""
    hypervisor = known.state["hypervisor"] if known.state["managed"] else ""
    return (
        f"runs {hypervisor}, which has no range of dynamic addresses" if hypervisor not in ("", None, "hyperv") else ""
    )


async def _apply(client: Client, known: _Known, given: Bounds | None, ask: Ask) -> None:
    """Raises Misuse."""
    if without := _without_range(known):
        raise Misuse(f"{known.name} {without}")
    if given is None and not known.wish:
        raise Misuse(f"no range is free for {known.name}; name one: weft host range {known.name} FIRST LAST --apply")
    first, last = given or _bounds(known.wish)
    wanted = {"first": mac_dashes(first), "last": mac_dashes(last)}
    properties = {**known.server["properties"], "wantedDynamicMacRange": wanted}
    write = Write(dry_run=ask.dry_run, if_match=known.server["etag"])
    answer = await client.put(path_of(server_ref(known.name)), {**known.server, "properties": properties}, write)
    if ask.dry_run:
        print_dry(answer.body, ask.output)
        return
    line = _command(known, wanted)
    if ask.output is not Format.table:
        plain({"server": known.name, "wantedDynamicMacRange": wanted, "command": line}, ask.output)
    elif known.state["managed"]:
        print(f"{known.name} shall draw from {texts.range_text(wanted)}")
        show.say(f"its agent sees to it; what keeps it from that stands in: weft host state {known.name}")
    else:
        show.say(f"{known.name} has no agent: run this, and tell Weft with dynamicMacRange when it is so")
        print(line)


@app.command("addresses", epilog=EPILOG)
def addresses(
    ctx: typer.Context,
    server: Host,
    state: Annotated[str, typer.Option("--state", help="free, assigned, retained, cooling, reserved or foreign.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many lines.")] = 50,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """List what is free in a host's own range, and who has the rest.

    \b
    weft host addresses host1
    weft host addresses host1 --state free
    """

    async def work(client: Client) -> None:
        path = f"{WEFT}/servers/{last_of(server)}"
        found = await client.get(f"{path}/usage")
        if output is Format.table:
            show.say(
                f"{found['source']} {texts.range_text(found['range'])}: {found['free']} of {found['capacity']} free"
            )
        await print_addresses(client, f"{path}/addresses", (state, limit), output)

    run(ctx, controller, work)
