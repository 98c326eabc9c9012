"""`python -m weft.bench [P1 P4 ...] [--size small|full]`; BENCH and SIZE in the environment do the same."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from weft.bench import audit, edges, p1, p4, p5, p6, p7, p8, p9, reports, restore
from weft.bench.filled import STORES
from weft.bench.rows import Missing, Row, Size, keep, show

RESULTS = Path("bench/results.json")

Bench = Callable[[Size], Iterable[Row]]
BENCHES: dict[str, Bench] = {
    "P1": p1.run,
    "P4": p4.run,
    "P5": p5.run,
    "START": p5.run_start,
    "P6": p6.run,
    "P7": p7.run,
    "P8": p8.run,
    "P9": p9.run,
    "EDGES": edges.run,
    "RESTORE": restore.run,
    "AUDIT": audit.run,
    "REPORT": reports.run,
}
NOTES = {"P1": p1.NOTE, "P5": p5.NOTE, "P7": p7.NOTE, "P8": p8.NOTE, "EDGES": edges.NOTE}


def main(words: Sequence[str]) -> int:
    """Measure what is asked for and print one table. 2 for an unknown bench, 1 if any could not run."""
    options = _options(words)
    wanted = [name.upper() for name in re.split(r"[,\s]+", ",".join(options.benches)) if name] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"bench: there is no {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    try:
        rows, notes = measure(wanted, Size(options.size), Console(stderr=True))
    finally:
        STORES.close()
    show(rows, notes, Console(width=None if sys.stdout.isatty() else 160))
    keep(rows, Path(options.results))
    return 1 if len({row.id.split(".")[0] for row in rows}) < len(set(wanted)) else 0


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="weft.bench", description="Measure Weft against its yardsticks.")
    parser.add_argument("benches", nargs="*", default=[os.environ.get("BENCH", "")], help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--size", choices=("small", "full"), default=os.environ.get("SIZE") or "full")
    parser.add_argument("--results", default=str(RESULTS), help="where the rows are kept as JSON")
    return parser.parse_args(list(words))


def measure(wanted: Iterable[str], size: Size, progress: Console) -> tuple[list[Row], list[str]]:
    """The rows of all benches that can run here, and a note for each that cannot."""
    rows: list[Row] = []
    notes: list[str] = []
    for name in wanted:
        progress.print(f"{name} ({size.name}) ...", style="dim", highlight=False)
        try:
            for row in BENCHES[name](size):
                progress.print(f"  {row.case}: {row.value:,.1f} {row.unit}", style="dim", highlight=False)
                rows.append(row)
            notes += [NOTES[name]] if name in NOTES else []
        except Missing as error:
            notes.append(f"{name} was not measured: {error}")
    return rows, notes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
