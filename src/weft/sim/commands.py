"""`weft simulate`: the old ways to give MAC addresses beside Weft's, in one simulated life. Needs no controller."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weft.cli import show
from weft.cli.desk import DONE, Misuse, run_here
from weft.sim import report
from weft.sim.life import Scale
from weft.sim.run import Outcome, run
from weft.sim.strategies import BY_NAME, STRATEGIES, Strategy, names

app = typer.Typer(add_completion=False)

USUAL = Scale()
ENDINGS = (".png", ".svg")
INSTALL = 'python -m pip install "weft[sim]"'


class Form(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


@app.command()
def simulate(
    hosts: Annotated[int, typer.Option(min=1, max=4000, help="Hyper-V hosts of the cluster.")] = USUAL.hosts,
    machines: Annotated[int, typer.Option(min=1, max=200_000, help="Machines at any time.")] = USUAL.machines,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long they live.")] = USUAL.days,
    seed: Annotated[int, typer.Option(help="Which of all lives; the same seed gives the same output.")] = USUAL.seed,
    cloned_hosts: Annotated[
        int, typer.Option(min=0, help="Hosts that are made from the disk image of another one.")
    ] = USUAL.cloned_hosts,
    strategies: Annotated[
        str, typer.Option(metavar="NAME,...", help=f"Which to compare: {', '.join(names())}; all by default.")
    ] = "",
    output: Annotated[Form, typer.Option("--output", "-o", help="How to print the result.")] = Form.table,
    over_time: Annotated[bool, typer.Option("--over-time", help="Also a table per strategy over time.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it too: a .png or .svg file.")] = None,
) -> None:
    """Live one random life of a cluster under each way to give MAC addresses, and count what goes wrong.

    \b
    weft simulate
    weft simulate --hosts 100 --machines 10000 --seed 7 --chart life.png
    weft simulate --strategies hyperv,weft -o csv > life.csv
    """
    scale = Scale(hosts, machines, days, seed, cloned_hosts)
    run_here(lambda: _simulate(scale, strategies, output, over_time, chart))


def _simulate(scale: Scale, strategies: str, output: Form, over_time: bool, chart: Path | None) -> int:
    """Raises Misuse, before the run where it can be known then."""
    chosen = _chosen(strategies)
    if chart is not None:
        _check_chart(chart)
    outcomes = _run(scale, chosen)
    _print(scale, outcomes, output, over_time)
    if chart is not None:
        _draw(scale, outcomes, chart)
    return DONE


def _chosen(text: str) -> list[Strategy]:
    """Raises Misuse."""
    if not text:
        return list(STRATEGIES)
    asked = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in BY_NAME]
    if unknown or not asked:
        raise Misuse(f"--strategies: there is no strategy '{', '.join(unknown)}'; there are {', '.join(names())}.")
    return [BY_NAME[name] for name in dict.fromkeys(asked)]


def _check_chart(file: Path) -> None:
    """Before a long run, not after it. Raises Misuse."""
    if file.suffix.lower() not in ENDINGS:
        raise Misuse(f"--chart {file}: the name must end with {' or '.join(ENDINGS)}.")
    if not file.absolute().parent.is_dir():
        raise Misuse(f"--chart {file}: there is no folder {file.absolute().parent}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Misuse(f"--chart needs matplotlib, which is not installed. Install it: {INSTALL}") from None


def _run(scale: Scale, chosen: Sequence[Strategy]) -> list[Outcome]:
    """With a bar per strategy on a terminal; otherwise in silence."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return run(scale, chosen)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {one.name: bars.add_task(one.name, total=1.0, start=False) for one in chosen}

        def tell(name: str, share: float) -> None:
            bars.start_task(tasks[name])
            bars.update(tasks[name], completed=share)

        return run(scale, chosen, tell)


def _print(scale: Scale, outcomes: Sequence[Outcome], output: Form, over_time: bool) -> None:
    match output:
        case Form.json:
            report.as_json(scale, outcomes)
        case Form.csv:
            report.as_csv(outcomes)
        case Form.table:
            report.table(scale, outcomes)
            if over_time:
                report.over_time(outcomes)


def _draw(scale: Scale, outcomes: Sequence[Outcome], file: Path) -> None:
    """Raises Misuse."""
    from weft.sim.chart import draw

    try:
        draw(scale, outcomes, file)
    except OSError as error:
        raise Misuse(f"--chart {file}: {error.strerror or error}") from error
    show.say(f"chart: {file}")
