"""Asks before something breaks. Called by the verbs that take an address or a machine away from somebody."""

import sys
from typing import Annotated

import typer

from weft.cli import show
from weft.cli.desk import Misuse
from weft.model.errors import Refusal

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class NotConfirmed(Refusal):
    """Whoever was asked said no; nothing was sent."""

    code = "NotConfirmed"


def confirm(what: str, yes: bool) -> None:
    """Say what will happen, and go on if it is wanted. Raises NotConfirmed, Misuse where nobody can answer."""
    show.say(what)
    if yes:
        return
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        show.say("")
        raise Misuse("nobody is there to answer; add --yes to go on without being asked")
    if answer.strip().lower() not in ("y", "yes"):
        raise NotConfirmed("nothing was changed")
