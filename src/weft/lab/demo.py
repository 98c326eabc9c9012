"""`weft demo`: the main job from end to end, each step seen for itself, and nothing left afterwards.

On network namespaces with real Open vSwitch, or with --simulated on the fakes, on any desk. Live with rich on a
terminal, plain lines when piped. The last line is `demo: N passed, M failed`; the exit code is 0 if and only if M is 0,
130 if it was interrupted and all is gone.
"""

import asyncio
import contextlib
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from weft.cli.documents import Documents
from weft.cli.files import read_stream
from weft.lab import commands, names, namespaces, up
from weft.lab.demo_stage import NotSo, Stage
from weft.lab.demo_steps import steps
from weft.lab.demo_watch import See
from weft.lab.interrupts import Interrupts, handled
from weft.lab.processes import Process, alive
from weft.lab.state import LabFailure, LabFolder, labs_folder, locked, open_lab
from weft.model.errors import WeftError

DEMO_LAB = "weft_demo"
EXAMPLE = "two-tenants.yaml"
STEP_SECONDS = 60.0
INTERRUPTED = 130
LOG_LINES = 15

demo_app = typer.Typer(add_completion=False)


class Show:
    """What is true and how it was seen, as it happens; counts what held."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.interrupts = Interrupts()
        self.passed = 0
        self.failed = 0
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[See]:
        """One step: passes unless its block raises; that is shown and not raised on, so that the others run. None
        begins after Ctrl-C."""
        self.interrupts.check()
        seen: list[str] = []
        number = self.passed + self.failed + 1
        began = time.monotonic()
        waiting = self._console.status(Text(f"{number}. {title}")) if self._console.is_terminal else None
        try:
            with waiting or contextlib.nullcontext():
                yield seen.append
        except Exception as error:
            self.failed += 1
            why = _reason(error)
            self._tell(("FAILED", "bold red"), f"{number}. {title}", [*seen, f"but: {why}"], began)
        else:
            self.passed += 1
            self._tell(("ok", "bold green"), f"{number}. {title}", seen, began)

    def _tell(self, verdict: tuple[str, str], title: str, seen: list[str], began: float) -> None:
        head = Text.assemble((f"{verdict[0]:<6} ", verdict[1]), (title, "bold"), f"  {time.monotonic() - began:.1f} s")
        self._console.print(head, soft_wrap=True)
        for line in seen:
            self._console.print(Text(f"         {line}", "dim"), soft_wrap=True)

    def end(self) -> int:
        """The last line, and the exit code."""
        self.say(f"took {time.monotonic() - self._began:.1f} s")
        self.say(f"demo: {self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def _reason(error: Exception) -> str:
    """Words for what a step may meet; with name and place for what is a defect of ours."""
    if isinstance(error, NotSo | WeftError | TimeoutError | OSError):
        return getattr(error, "message", "") or str(error) or f"not seen in {STEP_SECONDS:g} s"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


async def play(show: Show, stage: Stage) -> None:
    """All steps; a failed one does not stop the others."""
    for title, step in steps():
        with show.step(title) as see:
            async with asyncio.timeout(STEP_SECONDS):
                await step(stage, see)


def example() -> Documents:
    """The demo's file, from the sources or from the installed package. Raises LabFailure."""
    here = Path(__file__).resolve().parent
    for folder in (here / "examples", here.parents[2] / "examples"):
        if (folder / EXAMPLE).exists():
            return read_stream(folder / EXAMPLE)
    raise LabFailure(f"{EXAMPLE} is missing from this installation")


def run_real(show: Show, name: str) -> int:
    """In namespaces. Whatever happens, also Ctrl-C and SIGTERM, everything it made is taken away."""
    made: list[Process] = []

    def take_away(lab: LabFolder, see: See) -> None:
        up.bring_down(lab)
        _see_nothing(lab, made, see)

    return through(show, open_lab(name), lambda lab: _all_steps(show, lab, made), take_away)


def through(
    show: Show, lab: LabFolder, play_all: Callable[[LabFolder], None], take_away: Callable[[LabFolder, See], None]
) -> int:
    """Play all steps and take away what they made, however often it is interrupted; the exit code."""
    interrupts, interrupted = show.interrupts, False
    interrupts.raising = False
    # SIGTERM is as Ctrl-C, which does not reach what a shell runs in the background
    with interrupts.heard(signal.SIGINT, signal.SIGTERM), locked(labs_folder(), lab.name):
        try:
            interrupts.raising = True
            interrupts.check()
            play_all(lab)
            interrupts.check()
        except KeyboardInterrupt:
            interrupts.raising = False
            interrupted = True
            show.failed += 1
            show.say("demo: interrupted; taking away what it made")
        finally:
            interrupts.raising = False
            gone = _taken_away(show, lab, take_away)
        code = show.end()
    return INTERRUPTED if interrupted and gone else code


def _taken_away(show: Show, lab: LabFolder, take_away: Callable[[LabFolder, See], None]) -> bool:
    """Also where none of it can be said: whoever reads the output may have ended, by the same Ctrl-C."""
    begun = gone = False
    # so that it does not reach the commands that take things away either
    with handled(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM):
        try:
            if show.failed:
                _tell_logs(show, lab)
            with show.step("everything the demo made is gone") as see:
                begun = True
                take_away(lab, see)
                gone = True
        finally:
            if not begun:
                take_away(lab, lambda words: None)
    return gone


def _all_steps(show: Show, lab: LabFolder, made: list[Process]) -> None:
    """`made` gets the processes that were started."""
    from weft.lab.demo_real import real_stage

    up.bring_down(lab)  # what a killed demo left
    ready = False
    with show.step("two hosts with Open vSwitch, a router between, a controller on an embedded store") as see:
        up.bring_up(lab, example(), "", see, start=False)
        made += _processes(lab)
        ready = True
    if ready:
        asyncio.run(_on(show, real_stage(lab)))
        made += _processes(lab)


async def _on(show: Show, staged: contextlib.AbstractAsyncContextManager[Stage]) -> None:
    async with staged as stage:
        await play(show, stage)


def _tell_logs(show: Show, lab: LabFolder) -> None:
    """What the lab's processes said last: their logs go with the lab."""
    for log in sorted(lab.path.glob("log/*.log")):
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            show.say(f"{log.stem}: {line}")


def _processes(lab: LabFolder) -> list[Process]:
    state = lab.read()
    found = [state.controller, state.relay]
    for host in state.hosts.values():
        found += [host.database, host.switch, host.agent]
    return [process for process in found if process is not None]


def _see_nothing(lab: LabFolder, made: list[Process], see: See) -> None:
    left = namespaces.of_lab(lab.name)
    living = [process.pid for process in made if alive(process)]
    if left or living or lab.path.exists():
        raise NotSo(f"left are namespaces {left}, processes {living}, folder {lab.path.exists() and lab.path}")
    see(f"no namespace {lab.name}-*, none of the {len(set(made))} processes it started, no {lab.path}")


def run_simulated(show: Show) -> int:
    """On the fakes, in this process."""
    with show.interrupts.heard(signal.SIGINT):
        try:
            _all_simulated_steps(show)
            show.interrupts.check()
        except KeyboardInterrupt:
            show.interrupts.raising = False
            show.say("demo: interrupted")
            return INTERRUPTED
    return show.end()


def _all_simulated_steps(show: Show) -> None:
    from weft.lab.demo_simulated import simulated_stage

    show.say(
        "Simulated: the real controller, store, feed and agents, but switches, wire and machines are fakes in this"
    )
    show.say(
        "process. The real one (weft demo, as root on Debian with Open vSwitch) adds: packets of a real kernel, flow"
    )
    show.say("tables of a real Open vSwitch, GRE as tcpdump sees it, kill -9 of real processes, and true times.")
    asyncio.run(_on(show, simulated_stage(example())))


@demo_app.callback(invoke_without_command=True)
def demo(
    simulated: Annotated[bool, typer.Option("--simulated", help="On fake switches: any desk, no root.")] = False,
    name: Annotated[str, typer.Option(help="Name of the lab that the demo makes and takes away.")] = DEMO_LAB,
) -> None:
    """Show the main job: two tenants with equal addresses on two hosts over NVGRE, a move, a killed controller."""
    show = Show(Console(highlight=False))
    try:
        if simulated:
            raise typer.Exit(run_simulated(show))
        if reason := commands.missing():
            typer.echo(f"weft demo: {reason}", err=True)
            typer.echo("On fake switches it runs anywhere: weft demo --simulated", err=True)
            raise typer.Exit(1)
        names.check_lab_name(name)
        raise typer.Exit(run_real(show, name))
    except WeftError as error:
        typer.echo(f"weft demo: {error.message}", err=True)
        raise typer.Exit(1) from None
