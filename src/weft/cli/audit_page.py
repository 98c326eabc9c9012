"""An audit's report as one HTML page that needs nothing but itself: no script, font or image from elsewhere.

Called by weft.cli.audit. All that comes from the inventory is escaped; a policy in the page itself lets nothing load.
Works without its script, which only filters, copies, and opens what is folded before printing.
"""

import itertools
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from weft.cli.audit_picture import picture
from weft.cli.show import clean
from weft.core.audit.findings import SEVERITIES, Finding, Report, Summary, counted

MOST = 2000
"""So many findings stand in a page, the most severe ones; a browser is slow with more."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_MEANINGS = {
    "critical": "wrong now, or as good as certain",
    "warning": "a restart, a move or a rollback makes it wrong",
    "notice": "legal, but worth knowing",
}
_LEGEND = (
    ("free", "free"),
    ("used", "used"),
    ("away", "used on another host: this one does not know, and may give it out again"),
    ("captured", "in a checkpoint only"),
    ("duplicate", "duplicate"),
)


def page(report: Report) -> str:
    """The whole document."""
    style = files("weft.cli").joinpath("audit_page.css").read_text(encoding="utf-8")
    script = files("weft.cli").joinpath("audit_page.js").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Weft audit: {_headline(report.summary)}</title>",
            f"<style>{style}</style></head>",
            "<body>",
            *_header(report.summary),
            *_space(report),
            *_findings(report.findings),
            "<footer>Made by <b>weft audit</b>, which changes nothing. Commands are proposals: read them before you "
            "run them.</footer>",
            f"<script>{script}</script>",
            "</body></html>",
        ]
    )


def _headline(count: Summary) -> str:
    found = [f"{number} {word}" for word, number in _counts(count) if number]
    return ", ".join(found) or "nothing found"


def _counts(count: Summary) -> list[tuple[str, int]]:
    return [("critical", count.critical), ("warning", count.warning), ("notice", count.notice)]


def _header(count: Summary) -> Iterator[str]:
    yield "<header><h1>Address audit</h1>"
    things = ((count.hosts, "host"), (count.machines, "machine"), (count.interfaces, "interface"))
    counts = ", ".join(counted(number, word) for number, word in (*things, (count.checkpoints, "checkpoint")))
    yield f"<p>{counts}.</p></header>"
    yield '<section class="cards">'
    for word, number in _counts(count):
        state = "none" if not number else word
        yield f'<div class="card {state}"><b>{number:,}</b><span>{word}</span><small>{_MEANINGS[word]}</small></div>'
    yield "</section>"
    if count.without_address:
        waiting = counted(count.without_address, "interface")
        yield f"<p class=note>Waiting for their first start to get an address: {waiting}.</p>"


def _space(report: Report) -> Iterator[str]:
    if report.ranges:
        yield "<section><h2>The address space</h2>"
        yield '<ul class="legend">'
        yield from (f'<li><i class="{state}"></i>{escape(text)}</li>' for state, text in _LEGEND)
        yield "</ul>"
        yield f'<div class="picture">{picture(report.ranges)}</div>'
        yield "<p class=note>Ranges in one red frame overlap, and stand above each other where they do.</p></section>"


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    yield '<section id="findings"><h2>Findings</h2>'
    if not findings:
        yield '<p class="clean">Nothing found: every address is one machine\'s alone, and stays so.</p></section>'
        return
    yield '<form class="filter" role="search"><input type="search" id="words" aria-label="Filter findings"'
    yield ' placeholder="machine, host, address, code ...">'
    for severity in SEVERITIES:
        if any(finding.severity == severity for finding in findings):
            yield f'<label><input type="checkbox" name="severity" value="{severity}" checked> {severity}</label>'
    yield '<output id="shown"></output></form>'
    for (severity, code), same in itertools.groupby(findings[:MOST], key=lambda one: (one.severity, one.code)):
        yield from _group(severity, code, list(same))
    if len(findings) > MOST:
        yield f"<p class=note>{len(findings) - MOST:,} more findings are not shown: weft audit --format json.</p>"
    yield "</section>"


def _group(severity: str, code: str, findings: list[Finding]) -> Iterator[str]:
    yield f'<section class="group" data-severity="{severity}">'
    yield f'<h3><span class="chip {severity}">{severity}</span> <code>{escape(code)}</code>'
    yield f" <small>{len(findings):,}</small></h3>"
    for finding in findings:
        yield from _finding(finding, len(findings) == 1)
    yield "</section>"


def _finding(finding: Finding, is_open: bool) -> Iterator[str]:
    words = " ".join((*finding.machines, *finding.hosts, finding.address, finding.code, finding.summary))
    start = f'<details class="finding {finding.severity}"{" open" if is_open else ""}'
    yield f'{start} data-words="{_safe(words.lower())}">'
    yield f"<summary>{_safe(finding.summary)}</summary>"
    yield '<dl class="facts">'
    facts = (("Address", (finding.address,)), ("Machines", finding.machines), ("Hosts", finding.hosts))
    yield from (f"<dt>{name}</dt><dd>{_names(values)}</dd>" for name, values in facts if any(values))
    yield "</dl>"
    if finding.steps:
        steps = "".join(f"<li>{_safe(step)}</li>" for step in finding.steps)
        yield f'<ol class="steps">{steps}</ol>'
    if finding.remedy:
        yield f'<p class="remedy">{_safe(finding.remedy)}</p>'
    if finding.commands:
        yield f'<div class="commands"><pre>{_safe(chr(10).join(finding.commands))}</pre></div>'
    yield "</details>"


def _names(values: tuple[str, ...], most: int = 50) -> str:
    more = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(f"<code>{_safe(value)}</code>" for value in values[:most]) + more


def _safe(text: str) -> str:
    """Escaped, and without characters that no reader could see; line ends stay."""
    return escape("\n".join(clean(line) if line else "" for line in text.split("\n")))
