"""A PowerShell script: fixed text that takes one JSON argument and writes one JSON document. Pure.

No value is ever pasted into the text: names with quotes, `$` or line breaks travel in the argument. A script keeps to
part of the language (the checker, tests/powershell.py, names what is not in it), calls cmdlets by their full names and
gives parameters by theirs (weft.core.hyperv.cmdlets).
"""

import json
from typing import Any

import msgspec

PROLOGUE = """param([Parameter(Mandatory)][string]$Json)
$ErrorActionPreference = 'Stop'
$arguments = $Json | ConvertFrom-Json
"""
"""How every script begins that a driver runs."""


class Script(msgspec.Struct, frozen=True):
    """`name` is what errors and logs call it; `text` is complete, prologue and all."""

    name: str
    text: str
    reads: bool = False
    """It changes nothing: where nobody knows whether it began, it may be begun again."""


def json_line(value: Any) -> str:
    """JSON that is safe wherever a script's text may have it: one line of printable ASCII without a single quote.

    Nothing in it ends a here-string or a quoted string, no editor turns its lines round, and Windows PowerShell reads
    it the same whatever code page it takes a file for. `value` is of built-in types.
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    # of ASCII, json.dumps leaves these two as they are; both stand inside strings only
    return text.replace("'", "\\u0027").replace("\x7f", "\\u007f")
