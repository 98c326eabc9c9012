"""An audit's report as text of 80 columns: findings by severity and code, each with machines, steps, remedy, commands.

Called by weft.cli.audit. Commands stand on lines of their own, never broken, so that they can be copied.
"""

import itertools
import textwrap
from collections.abc import Callable, Iterator

import typer

from weft.cli.show import clean
from weft.core.audit.findings import CRITICAL, SEVERITIES, WARNING, Finding, RangeUse, Report, counted

Bold = Callable[[str, str], str]

WIDTH = 80
FEW = 10
"""So many findings of one code are printed; --all prints them all."""
_COLOURS = {CRITICAL: "red", WARNING: "yellow"}
_MEANINGS = {
    "critical": "wrong now, or as good as certain",
    "warning": "a restart, a move or a rollback makes it wrong",
    "notice": "legal, but worth knowing",
}


def lines(report: Report, everything: bool, colours: bool = False) -> Iterator[str]:
    """The whole report."""
    bold = _in_colour if colours else _plain
    yield from _head(report, bold)
    for severity in SEVERITIES:
        found = [finding for finding in report.findings if finding.severity == severity]
        if found:
            yield ""
            yield bold(f"{severity.upper()} ({_MEANINGS[severity]})", _COLOURS.get(severity, "cyan"))
            for _, same in itertools.groupby(found, key=lambda finding: finding.code):
                yield from _group(list(same), everything, bold)


def _head(report: Report, bold: Bold) -> Iterator[str]:
    count = report.summary
    things = ((count.hosts, "host"), (count.machines, "machine"), (count.interfaces, "interface"))
    yield ", ".join(counted(number, word) for number, word in (*things, (count.checkpoints, "checkpoint")))
    found = f"{count.critical} critical, {counted(count.warning, 'warning')}, {counted(count.notice, 'notice')}"
    yield found if report.findings else "nothing found: every address is one machine's alone, and stays so"
    if count.without_address:
        yield f"waiting for their first start to get an address: {counted(count.without_address, 'interface')}"
    ranges = [use for use in report.ranges if use.kind != "block"]
    if ranges:
        yield ""
        yield from _ranges(ranges, bold)


def _ranges(ranges: list[RangeUse], bold: Bold) -> Iterator[str]:
    names = [clean(use.owner if use.kind == "host" else f"pool {use.owner}") for use in ranges[:FEW]]
    width = max(22, *map(len, names))
    yield bold(f"{'RANGE OF':<{width}}  {'FIRST':<17}  {'USED':>6} {'AWAY':>6} {'FREE':>10}  FILL", "cyan")
    for name, use in zip(names, ranges, strict=False):
        share = use.used * 100 // use.capacity
        yield f"{name:<{width}}  {use.first}  {use.used:>6} {use.away:>6} {use.free:>10}  {share:>3} %"
    if len(ranges) > FEW:
        yield f"... and {len(ranges) - FEW} more ranges: --format json or html"


def _group(findings: list[Finding], everything: bool, bold: Bold) -> Iterator[str]:
    """Findings of one code: what they have in common stands once, after them."""
    yield ""
    first = findings[0]
    count = f" ({len(findings)})" if len(findings) > 1 else ""
    yield bold(f"{first.code}{count}", "")
    shown = findings if everything else findings[:FEW]
    same_remedy = len({finding.remedy for finding in findings}) == 1
    for finding in shown:
        yield from _wrapped("* ", finding.summary)
        for number, step in enumerate(finding.steps, 1):
            yield from _wrapped(f"  {number}. ", step)
        if not same_remedy:
            yield from _wrapped("  -> ", finding.remedy)
        for command in finding.commands:
            yield f"    {clean(command)}"
    if len(shown) < len(findings):
        yield f"* ... and {len(findings) - len(shown)} more: --all, or --format json"
    if same_remedy and first.remedy:
        yield from _wrapped("-> ", first.remedy)


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(
        clean(text),
        WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(text: str, colour: str) -> str:
    return text


def _in_colour(text: str, colour: str) -> str:
    return typer.style(text, fg=colour or None, bold=True)
