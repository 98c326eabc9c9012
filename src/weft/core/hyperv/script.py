"""A PowerShell script: fixed text that takes one JSON argument and writes one JSON document. Pure.

No value is ever pasted into the text: names with quotes, `$` or line breaks travel in the argument.
"""

import msgspec

PROLOGUE = """param([Parameter(Mandatory)][string]$Json)
$ErrorActionPreference = 'Stop'
$arguments = $Json | ConvertFrom-Json
"""
"""How every script begins."""


class Script(msgspec.Struct, frozen=True):
    """`name` is what errors and logs call it; `text` is complete, prologue and all."""

    name: str
    text: str
