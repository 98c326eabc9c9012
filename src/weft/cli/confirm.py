"""Asks before something breaks. Called by the verbs that take an address or a machine away from somebody."""

import signal
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
    answer = _answer_to("Go on? [y/N] ")
    if not answer:
        show.say("")
        raise Misuse("nobody is there to answer; add --yes to go on without being asked")
    if answer.strip().lower() not in ("y", "yes"):
        raise NotConfirmed("nothing was changed")


def _answer_to(question: str) -> str:
    """A line of standard input. The event loop would keep Ctrl-C until the line is there; here it ends at once."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
