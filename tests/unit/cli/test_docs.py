"""Every command stands in docs/cli.md, and every exit code."""

from pathlib import Path

from typer.main import get_command

from weft.cli import desk
from weft.cli.commands import app

DOCS = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_command_is_documented() -> None:
    for name, command in get_command(app).commands.items():
        below = getattr(command, "commands", None)
        for verb in below or ("",):
            assert f"weft {name} {verb}".strip() in DOCS


def test_every_exit_code_is_documented() -> None:
    codes = (desk.DONE, desk.REFUSED, desk.BAD_USAGE, desk.UNREACHABLE, desk.HOSTS_LAG, desk.INTERRUPTED, desk.UNREAD)
    assert all(f"\n| {code} | " in DOCS for code in codes)
