"""Runs one command: opens the client, turns errors into messages and exit codes. Every command goes through `run`.

Exit codes: 0 done, 1 refused by the controller, 2 usage or bad file, 3 controller not reachable, 4 timed out waiting
for hosts, 130 interrupted, 141 nobody reads our output any more (as for other tools in a pipe).
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer

from weft.cli.faults import BadFile
from weft.model.errors import Invalid, Unavailable, WaitTimedOut, WeftError
from weft.model.kinds import BY_NAME
from weft.model.values import NewId
from weft.wire.client import DEFAULT_URL, Client, ControllerUnreachable, Patience

DONE, REFUSED, BAD_USAGE, UNREACHABLE, HOSTS_LAG, INTERRUPTED, UNREAD = 0, 1, 2, 3, 4, 130, 141

PATIENCE = Patience(answer_s=300.0)
"""A migration answers when it is done; nothing a person asks takes longer."""

EPILOG = (
    "Exit codes: 0 done, 1 refused by the controller, 2 usage or bad file, 3 controller not reachable, "
    "4 timed out waiting for hosts."
)

Controller = Annotated[
    str,
    typer.Option(
        "--controller",
        envvar="WEFT_CONTROLLER",
        metavar="URL",
        help=f"http://HOST:PORT, https://HOST:PORT or unix:PATH; else {DEFAULT_URL}.",
        show_default=False,
    ),
]


class Misuse(Invalid):
    """Words on the command line that make no sense; nothing was sent."""

    code = "Usage"


HINTS = {
    "ActiveTwin": "stop the other machine first: weft vm stop NAME",
    "AddressesTaken": "see what would become of each: --dry-run; take new ones for those: --if-taken remap",
    "MachineIsRunning": "stop it first: weft vm stop NAME",
    "MachineIsTemplate": "make a machine of it: weft vm clone TEMPLATE NAME",
    "PrivateMacAddressCannotBeUpdated": "that is an action of its own: weft vm renew-mac NAME",
    "MachineIsInactive": "bind it to a host again: weft vm failover NAME --to HOST",
    "AddressIsHeld": "see who has it: weft address show ADDRESS",
    "AddressPlanIsFull": "see who has which range: weft get servers",
    "NoHostRange": "see what the host has: weft host range HOST",
    "PoolIsDrained": "let it give again: weft pool drain POOL off",
    "AmbiguousAddress": "say which one: --network NAME",
    "NoContiguousBlock": "ask for fewer, or without --contiguous; see the gaps: weft pool addresses POOL --state free",
    "MacPoolIsFull": "see what holds the space: weft pool usage; more room is another pool",
    "NotConfirmed": "to go on without being asked: --yes",
}
"""What to do about a refusal, by its code."""

Connect = Callable[[str, NewId | None, Patience | None], Client]


class Desk(msgspec.Struct, frozen=True):
    """What the commands need of the process; the caller of the typer app passes it as `obj`."""

    new_id: NewId | None = None
    """Makes x-ms-client-request-id; without it a write whose connection is lost is not repeated."""
    connect: Connect = Client.connect
    wall: Callable[[], float] | None = None
    """Unix seconds, for times that are given as durations."""


def desk_of(ctx: typer.Context) -> Desk:
    found = ctx.find_root().obj
    return found if isinstance(found, Desk) else Desk()


def run(ctx: typer.Context, controller: str, work: Callable[[Client], Awaitable[int | None]]) -> None:
    """Do `work` with a client and leave with its exit code. Raises typer.Exit."""
    raise typer.Exit(_code_of(lambda: asyncio.run(_with_client(desk_of(ctx), controller, work))))


def run_here(work: Callable[[], int]) -> None:
    """Do `work`, which needs no controller, and leave with its exit code. Raises typer.Exit."""
    raise typer.Exit(_code_of(work))


async def _with_client(desk: Desk, controller: str, work: Callable[[Client], Awaitable[int | None]]) -> int:
    try:
        client = desk.connect(controller or DEFAULT_URL, desk.new_id, PATIENCE)
    except Invalid as error:
        raise Misuse(error.message) from error
    async with client:
        return await work(client) or DONE


def _code_of(act: Callable[[], int]) -> int:
    try:
        code = act()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return UNREAD
    except WeftError as error:
        print(message_of(error), file=sys.stderr)
        return code_of(error)


def _discard_output() -> None:
    """The reader is gone: what is still buffered must not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def code_of(error: WeftError) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, BadFile | Misuse):
        return BAD_USAGE
    if isinstance(error, ControllerUnreachable):
        return UNREACHABLE
    if isinstance(error, WaitTimedOut):
        return HOSTS_LAG
    return REFUSED


def message_of(error: WeftError) -> str:
    """`weft: CODE: message`, faults of a file one per line before it, a hint after it where one helps."""
    if isinstance(error, BadFile):
        count = len(error.faults)
        return f"{error.message}\nweft: {error.code}: {count} fault{'s' * (count > 1)}; {error.so}"
    hint = ""
    if isinstance(error, WaitTimedOut):
        hint = "\nhint: the change is kept; look at the host with: weft host state HOST"
    elif isinstance(error, Unavailable) and not isinstance(error, ControllerUnreachable):
        hint = "\nhint: nothing was changed; try again later"
    elif error.code in HINTS:
        hint = f"\nhint: {HINTS[error.code]}"
    elif error.code.startswith("Http4"):
        hint = "\nhint: that is no answer of a Weft controller; name one with --controller or WEFT_CONTROLLER"
    elif error.status == 404:
        hint = _what_there_is(error.target or "")
    return f"weft: {error.code}: {error.message}{hint}"


def _what_there_is(target: str) -> str:
    """Where to look for the name that was meant; nothing where the refusal names no resource."""
    parts = target.strip("/").removeprefix("weft/").split("/")
    kind = BY_NAME.get(parts[0].lower())
    if kind is None:
        return ""
    inside = f"{parts[-2]} --of {'/'.join(parts[:-2])}" if len(parts) > 2 and len(parts) % 2 == 0 else kind.name
    return f"\nhint: see what there is with: weft get {inside}"
