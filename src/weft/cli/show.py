"""Prints results: tables on a terminal, aligned text without colour when piped or with NO_COLOR, JSON, YAML, names."""

import enum
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
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
    """Two spaces between columns, one line per row, nothing cut off: the terminal itself wraps what is too long."""
    cells = [[clean(cell) for cell in row] for row in rows]
    upper = [head.upper() for head in heads]
    widths = [max(len(row[i]) for row in [upper, *cells]) for i in range(len(heads))]
    style = styled if decorated() else str
    print("  ".join(_padded(upper, widths, _heading if decorated() else str)).rstrip())
    for row in cells:
        print("  ".join(_padded(row, widths, style)).rstrip())


def _padded(row: Sequence[str], widths: Sequence[int], style: Callable[[str], str]) -> list[str]:
    """Spaces stand outside the colours, so that they can be cut off at the end of a line."""
    return [style(cell) + " " * (width - len(cell)) for cell, width in zip(row, widths, strict=True)]


def _heading(cell: str) -> str:
    return typer.style(cell, fg="cyan", bold=True)


def clean(cell: Any) -> str:
    """Text of a cell; what is not printable does not reach the terminal."""
    text = "-" if cell is None or cell == "" else str(cell)
    return "".join(c if c.isprintable() else "?" for c in text)


_COLOURS = {
    "Running": "green",
    "create": "green",
    "change": "yellow",
    "move": "yellow",
    "Success": "green",
    "Failure": "red",
    "Warning": "yellow",
    "delete": "red",
    "created": "green",
    "deleted": "red",
    "updated": "yellow",
}


def styled(cell: str) -> str:
    """A word of state in its colour, any other as it is."""
    return typer.style(cell, fg=_COLOURS[cell]) if cell in _COLOURS else cell


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
