"""`weft audit`: what is wrong with the addresses of an inventory, whoever runs it. Speaks to no controller."""

import enum
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from weft.cli import audit_table, show
from weft.cli.audit_page import page
from weft.cli.desk import DONE, Misuse, run_here
from weft.cli.faults import BadFile
from weft.cli.inventory import read_inventory
from weft.cli.written import write
from weft.core.audit.findings import SEVERITIES, Report
from weft.core.audit.report import report_on
from weft.model.inventory import schema

app = typer.Typer()

FINDINGS = 1


class Format(enum.StrEnum):
    table = "table"
    json = "json"
    html = "html"


class Severity(enum.StrEnum):
    critical = "critical"
    warning = "warning"
    notice = "notice"


EPILOG = "Exit codes: 0 nothing found, 1 findings, 2 a file that cannot be read."


@app.command("audit", epilog=EPILOG)
def audit_files(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Files, folders, HOST=FILE, or - for standard input.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="How to print the report.", case_sensitive=False)
    ] = Format.table,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
    fail_on: Annotated[
        Severity,
        typer.Option("--fail-on", help="End with 1 only for findings at least so severe.", case_sensitive=False),
    ] = Severity.notice,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every finding of a kind, not the first ten.")
    ] = False,
    print_schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of an inventory.")] = False,
) -> None:
    """Find addresses that clash, or will after a restart, a move, a rollback or a clone's start. Changes nothing.

    Reads libvirt XML, JSON of Hyper-V's PowerShell module, CSV, and Weft's own JSON, told apart by content.

    \b
    weft audit inventory.json
    weft audit kvm1=dumpxml-1.xml kvm2=dumpxml-2.xml
    weft audit hyperv.json --format html -o report.html
    weft audit --schema
    """

    def work() -> int:
        if print_schema:
            print(json.dumps(schema(), indent=2))
            return DONE
        if not files:
            raise Misuse("name at least one file of an inventory; see: weft audit --help")
        report, read = _report(files)
        coloured = output is None and show.decorated()
        write(_as_text(report, form, everything, coloured) + "\n", output, read)
        return _code_of(report, fail_on)

    run_here(work)


def _code_of(report: Report, fail_on: Severity) -> int:
    least = SEVERITIES.index(fail_on.value)
    return FINDINGS if any(SEVERITIES.index(one.severity) <= least for one in report.findings) else DONE


def _report(words: list[str]) -> tuple[Report, tuple[Path, ...]]:
    """And the files that were opened for it. A hundred thousand machines are millions of objects, of which none is
    garbage: looking for some took a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        read = read_inventory(words)
        return report_on(read.survey), read.files
    except BadFile as error:
        raise BadFile(error.faults, "nothing was audited") from None
    finally:
        if collecting:
            gc.enable()


def _as_text(report: Report, form: Format, everything: bool, coloured: bool) -> str:
    forms: dict[Format, Callable[[], str]] = {
        Format.table: lambda: "\n".join(audit_table.lines(report, everything, coloured)),
        Format.json: lambda: msgspec.json.format(msgspec.json.encode(report), indent=2).decode(),
        Format.html: lambda: page(report),
    }
    return forms[form]()
