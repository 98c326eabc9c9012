"""`weft address` and `weft conflicts`: one address with all that happened to it, and what clashes now."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from typer.core import TyperGroup

from weft.cli import show
from weft.cli.actions import Ask, DryRun, print_dry
from weft.cli.confirm import Yes, confirm
from weft.cli.desk import EPILOG, Controller, run
from weft.cli.names import address_word, target_of
from weft.cli.show import Format, Output
from weft.cli.texts import name_of
from weft.wire.client import WEFT, Client


class _ShowByDefault(TyperGroup):
    """`weft address 00-1D-...` is short for `weft address show 00-1D-...`: no verb looks like an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and _looks_like_an_address(args[0]):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def _looks_like_an_address(word: str) -> bool:
    return not word.startswith("-") and (any(c in word for c in ".:-") or len(word) == 12)


app = typer.Typer(
    help="One address: who has it, and all that happened to it.", no_args_is_help=True, cls=_ShowByDefault
)
conflicts_app = typer.Typer()

Address = Annotated[str, typer.Argument(metavar="MAC|IP", help="In any notation.")]


@app.command("show", epilog=EPILOG)
def show_one(
    ctx: typer.Context,
    address: Address,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """Show who holds an address now, and all that happened to it.

    \b
    weft address show 00:1d:d8:b7:1c:07
    weft address show 10.1.1.11 -o json
    """

    async def work(client: Client) -> None:
        found = await client.get(f"{WEFT}/addresses/{address_word(address)}")
        if output is not Format.table:
            plain(found, output)
            return
        if _unheard_of(found):
            print(f"nobody has {address}, and nobody ever had it")
            return
        _print_address(found)

    run(ctx, controller, work)


def _unheard_of(found: Any) -> bool:
    """In no pool, and without any history."""
    places = found["value"]
    return not any(p.get("pool") or p.get("holders") or p.get("history") for p in places)


def _print_address(found: Any) -> None:
    """Where it is now (an IP address may be in several networks), then its history, oldest first."""
    places = found["value"] if isinstance(found.get("value"), list) else [found]
    rows = [[p.get("address"), p.get("state"), holders(p), _domain(p), p.get("until")] for p in places]
    show.table(["address", "state", "holders", "domain", "until"], rows)
    history = [{"domain": _domain(place), **event} for place in places for event in place.get("history") or ()]
    if history:
        print()
        members = ["time", "revision", "event", "holder", "machine", "host", "actor", "reason"]
        members += ["domain"] if len(places) > 1 else []
        show.table(members, [[_counted(event, member) for member in members] for event in history])


def _counted(event: dict[str, Any], member: str) -> Any:
    """The same asker's refusals of one hour come as one event."""
    times = event.get("times", 1) if member == "event" else 1
    return f"{event['event']}, {times} times" if times > 1 else event.get(member)


def _domain(place: Any) -> Any:
    return place.get("l2Domain") or _ref_of(place.get("pool") or {}) or place.get("scope")


def holders(found: Any) -> str:
    """Names of those who hold an address; what is gone outside is marked."""
    return ", ".join(_holder(each) for each in found.get("holders") or ())


def _holder(found: Any) -> str:
    name = name_of(_ref_of(found))
    kind = found.get("kind") if isinstance(found, dict) else None
    marks = [kind] if kind in ("checkpoint", "export", "reservation", "port") else []
    marks += ["inactive"] if isinstance(found, dict) and found.get("inactive") else []
    return f"{name} ({', '.join(marks)})" if marks else name


def _ref_of(holder: Any) -> str:
    return str(holder.get("resourceRef") or holder.get("ref") or "") if isinstance(holder, dict) else str(holder)


def plain(value: Any, output: Format) -> None:
    """What is no resource, in a form for programs."""
    if output is Format.yaml:
        show.as_yaml([value])
    elif output is Format.name and isinstance(value, list):
        for each in value:
            print(each.get("address") or each.get("first"))
    else:
        show.as_json(value)


@app.command("release", epilog=EPILOG)
def release(
    ctx: typer.Context,
    address: Address,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the address's history.")],
    network: Annotated[
        str, typer.Option("--network", help="Which one, if several hold that address: blue, logicalNetworks/hnvpa.")
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.table,
    controller: Controller = "",
) -> None:
    """End a cool-down early, or free what a vanished machine holds: its interface is deleted then, so it asks before.

    \b
    weft address release 00-1D-D8-B7-1C-07 --reason "switch tables were cleared"
    """
    ask = Ask(output, controller, dry_run)

    async def work(client: Client) -> None:
        path = f"{WEFT}/addresses/{address_word(address)}"
        scope = _network_ref(network)
        gone = _inactive(await client.get(path), scope)
        if gone and not dry_run:
            confirm(f"deletes {', '.join(gone)}, and a machine with no other interface: they are gone outside", yes)
        query = f"?scope={quote(scope)}" if scope else ""
        answer = (await client.post(f"{path}/release{query}", {"reason": reason}, ask.write)).body
        if dry_run:
            print_dry(answer, output)
            return
        found = await client.get(path)
        _print_address(found) if output is Format.table else plain(found, output)

    run(ctx, controller, work)


def _network_ref(text: str) -> str:
    """A virtual network by its name, any by its reference."""
    if not text:
        return ""
    return target_of([text] if "/" in text.strip("/") else ["virtualNetworks", text]).ref


def _inactive(found: Any, scope: str) -> list[str]:
    """References of holders that are gone outside, in the one network that is meant."""
    places = [place for place in found["value"] if not scope or place.get("scope", "")[3:] == scope.lower()]
    every = [holder for place in places for holder in place.get("holders") or ()]
    return [_ref_of(holder).strip("/") for holder in every if isinstance(holder, dict) and holder.get("inactive")]


@conflicts_app.command("conflicts", epilog=EPILOG)
def conflicts(ctx: typer.Context, output: Output = Format.table, controller: Controller = "") -> None:
    """List what clashes now: active twins, foreign addresses, drift, overlapping ranges; each with its remedy.

    \b
    weft conflicts
    weft conflicts -o json
    """

    async def work(client: Client) -> None:
        found = await client.list_all(f"{WEFT}/conflicts")
        if output is not Format.table:
            plain(found, output)
            return
        if not found:
            print("no conflicts")
            return
        show.table(["address", "kind", "domain", "holders", "remedy"], [_conflict_row(each) for each in found])
        for command in dict.fromkeys(each["command"] for each in found if each.get("command")):
            show.say(f"hint: {command}")

    run(ctx, controller, work)


def _conflict_row(found: Any) -> Sequence[Any]:
    holding = ", ".join(name_of(_ref_of(holder)) for holder in found.get("holders") or ())
    return [found.get("address"), found.get("kind"), found.get("l2Domain"), holding, found.get("remedy")]
