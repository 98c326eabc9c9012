"""Errors become one message on standard error and a documented exit code."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from weft.cli.desk import Desk, Misuse, message_of, run
from weft.cli.faults import BadFile, Fault
from weft.model.errors import AddressInUse, NotFound, Unavailable, WaitTimedOut, WeftError
from weft.wire.client import Client, ControllerUnreachable, error_of

LATER = "hint: nothing was changed; try again later\n"
LOOK = "hint: the change is kept; look at the host with: weft host state HOST\n"


def outcome(act: Any) -> tuple[int, str]:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command(ctx: typer.Context) -> None:
        async def work(client: Client) -> None:
            act()

        run(ctx, "http://127.0.0.1:1", work)

    result = CliRunner().invoke(app, [], obj=Desk())
    return result.exit_code, result.stderr


def raiser(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (AddressInUse("held by n1", code="PrivateIPAddressInUse"), 1, "weft: PrivateIPAddressInUse: held by n1\n"),
        (NotFound("no 'x'"), 1, "weft: NotFound: no 'x'\n"),
        (WeftError("broke"), 1, "weft: InternalServerError: broke\n"),
        (Unavailable("full disk"), 1, "weft: ServiceUnavailable: full disk\n" + LATER),
        (Misuse("what?"), 2, "weft: Usage: what?\n"),
        (BadFile([Fault("f", 3, "a; b")]), 2, "f:3: a; b\nweft: BadFile: 1 fault; nothing was applied\n"),
        (ControllerUnreachable("no answer"), 3, "weft: ControllerUnreachable: no answer\n"),
        (WaitTimedOut("host2 lags"), 4, "weft: HostsLag: host2 lags\n" + LOOK),
        (KeyboardInterrupt(), 130, ""),
    ],
)  # fmt: skip
def test_exit_codes(error: BaseException, code: int, said: str) -> None:
    assert outcome(raiser(error)) == (code, said)


def test_done() -> None:
    assert outcome(lambda: None) == (0, "")


def test_a_controller_that_is_no_url_is_refused_before_anything_is_done() -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command(ctx: typer.Context) -> None:
        async def work(client: Client) -> None:
            raise AssertionError("not reached")

        run(ctx, "nonsense", work)

    result = CliRunner().invoke(app, [], obj=Desk())
    assert (result.exit_code, result.stderr.startswith("weft: Usage: 'nonsense'")) == (2, True)


def test_a_page_that_is_no_controllers_is_not_taken_for_an_answer() -> None:
    said = message_of(error_of(404, None))
    assert "no answer of a Weft controller" in said and "weft get" not in said
