"""A command line run in this process. typer makes the tree of all commands anew for each: here it is made once."""

import functools
import sys
from collections.abc import Sequence
from typing import Any

import typer.main
from typer.testing import CliRunner, Result


@functools.cache
def _command(app: typer.Typer) -> Any:
    return typer.main.get_command(app)


def invoke(
    app: typer.Typer,
    words: Sequence[str],
    stdin: str | bytes | None = None,
    env: dict[str, str] | None = None,
    obj: Any = None,
) -> Result:
    """As CliRunner().invoke, whose words these are."""
    runner, command = CliRunner(), _command(app)
    exit_code, exception, where = 0, None, None
    with runner.isolation(stdin, env) as (stdout, stderr, output):
        try:
            command.main(words, prog_name=runner.get_default_prog_name(command), obj=obj)
        except SystemExit as end:
            exit_code, where = end.code, sys.exc_info()
            exception = end if end.code else None
        except Exception as error:
            exit_code, exception, where = 1, error, sys.exc_info()
        sys.stdout.flush()
        sys.stderr.flush()
        said = [each.getvalue() for each in (stdout, stderr, output)]
    return Result(runner, *said, None, exit_code, exception, where)
