"""Prints results: tables on a terminal, aligned text without colour when piped or with NO_COLOR, JSON, YAML, names."""

import enum
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML


class Format(enum.StrEnum):
    table = "table"
    json = "json"
    yaml = "yaml"
    name = "name"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.", case_sensitive=False)]

Row = Sequence[Any]


def decorated() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(heads: Sequence[str], rows: Iterable[Row]) -> None:
    """A table; for a pipe two spaces between columns, one line per row, nothing cut off."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if decorated():
        drawn = Table(*heads, box=None, header_style="bold cyan", pad_edge=False, padding=(0, 2, 0, 0))
        for row in cells:
            drawn.add_row(*(styled(cell) for cell in row))
        Console(file=sys.stdout).print(drawn)
        return
    upper = [head.upper() for head in heads]
    widths = [max(len(row[i]) for row in [upper, *cells]) for i in range(len(heads))]
    for row in [upper, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def clean(cell: Any) -> str:
    """Text of a cell; what is not printable does not reach the terminal."""
    text = "-" if cell is None or cell == "" else str(cell)
    return "".join(c if c.isprintable() else "?" for c in text)


_STYLES = {
    "Running": "green",
    "create": "green",
    "change": "yellow",
    "unchanged": "dim",
    "Success": "green",
    "Failure": "red",
    "Warning": "yellow",
    "delete": "red",
    "created": "green",
    "deleted": "red",
    "updated": "yellow",
}


def styled(cell: str) -> str:
    """A word of state in its colour; brackets are text, not markup."""
    escaped = cell.replace("[", r"\[")
    return f"[{_STYLES[cell]}]{escaped}[/]" if cell in _STYLES else escaped


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def as_yaml(values: Iterable[Any]) -> None:
    """A stream of documents, as `weft apply -f` takes it."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    for i, value in enumerate(values):
        out = io.StringIO()
        yaml.dump(value, out)
        print(("---\n" if i else "") + out.getvalue(), end="")


def say(text: str) -> None:
    """A remark to the person, beside the result."""
    print(text, file=sys.stderr)
