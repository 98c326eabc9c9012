"""`weft plan`: the file that a worksheet of addresses comes to. Speaks to no controller."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from weft.cli.desk import DONE, run_here
from weft.cli.faults import BadFile, Fault
from weft.cli.inventory import read_source
from weft.cli.inventory_sources import Source
from weft.cli.worksheet import fault_at, read_worksheet
from weft.cli.worksheet_file import documents
from weft.cli.worksheet_sheet import Sheet, understand
from weft.cli.written import write

app = typer.Typer()

EPILOG = "Exit codes: 0 done, 2 a worksheet with faults; each is told, with its line and its cell."
NOTHING = "nothing was written"
"""What comes of a sheet with faults."""


@app.command("plan", epilog=EPILOG)
def plan_worksheet(
    worksheet: Annotated[str, typer.Argument(metavar="WORKSHEET", help="CSV; - for standard input.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
) -> None:
    """Make a file for `weft apply -f` and `weft lab up` of a worksheet: host, provider address, machine, customer
    address, VSID.

    \b
    weft plan worksheet.csv -o tenants.yaml
    weft plan worksheet.csv | weft apply -f -
    """

    def work() -> int:
        faults: list[Fault] = []
        source = read_source(worksheet, faults)
        if source is None:
            raise BadFile(faults, NOTHING)
        write(_text(source, read_sheet(source)), output, [source.path])
        return DONE

    run_here(work)


def read_sheet(source: Source) -> Sheet:
    """Says on standard error which columns are left out. Raises BadFile with every fault of the sheet."""
    read = read_worksheet(source)
    for note in read.notes:
        print(f"note: {note}", file=sys.stderr)
    heads = read.heads
    if heads is None:
        raise BadFile(read.faults, NOTHING)
    if not read.rows and not read.faults:
        read.faults.append(source.fault(heads.line, "has no rows; write one for each customer address"))

    def blame(line: int, column: str, message: str) -> None:
        read.faults.append(fault_at(source, heads, line, column, message))

    sheet = understand(read.rows, read.unread, blame)
    if read.faults:
        raise BadFile(read.faults, NOTHING)
    return sheet


def _text(source: Source, sheet: Sheet) -> str:
    """As `show.as_yaml` prints, with a line before it that says where it comes from."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    print(f"# Made by weft plan of {source.file.splitlines()[0]}; change the worksheet rather than this.", file=out)
    yaml.dump_all(documents(sheet), out)
    return out.getvalue()
