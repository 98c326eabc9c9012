"""However a demo is interrupted, what it made is taken away."""

import contextlib
import io
import itertools
import shutil
import signal
import sys

import pytest
from rich.console import Console

from weft.lab import demo, interrupts, state
from weft.lab.demo import INTERRUPTED, Show, run_simulated, through
from weft.lab.state import open_lab

FILES = {module.__file__ for module in (contextlib, demo, interrupts, state)}


class Demo:
    """One whose steps are `play`, after they have made a lab: a folder with a log."""

    def __init__(self, folder, play, output=None):
        self.folder, self.play = folder, play
        self.show = Show(Console(file=output or io.StringIO(), width=200))

    def _play_all(self, lab):
        (lab.path / "log").mkdir(parents=True)
        (lab.path / "log" / "controller.log").write_text("it began\n")
        self.play(self.show)

    def _take_away(self, lab, see):
        shutil.rmtree(lab.path, ignore_errors=True)

    def run(self):
        return through(self.show, open_lab("x"), self._play_all, self._take_away)

    @property
    def left(self):
        return list(self.folder.rglob("*"))


@pytest.fixture
def folder(tmp_path, monkeypatch, terminal):
    monkeypatch.setenv("WEFT_LAB_DIR", str(tmp_path / "labs"))
    return tmp_path / "labs"


def ctrl_c(show=None):
    signal.raise_signal(signal.SIGINT)


class Finalized:
    def __del__(self):
        ctrl_c()


def in_a_finalizer(show):
    with show.step("the last one"):
        Finalized()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_that_the_last_step_gave_up(folder):
    demo = Demo(folder, in_a_finalizer)
    assert (demo.run(), demo.left) == (INTERRUPTED, [])


class Impatient(io.StringIO):
    """Another Ctrl-C as soon as the first one is told."""

    def write(self, text):
        if "interrupted" in text:
            ctrl_c()
        return super().write(text)


class Closed(io.StringIO):
    """Who reads it has ended."""

    def write(self, text):
        raise OSError(5, "Input/output error")


def test_a_second_one_while_the_first_is_told(folder):
    demo = Demo(folder, ctrl_c, Impatient())
    assert (demo.run(), demo.left) == (INTERRUPTED, [])


def test_one_that_ends_who_reads_what_it_says_too(folder):
    demo = Demo(folder, ctrl_c, Closed())
    with pytest.raises(OSError, match="Input/output error"):
        demo.run()
    assert not demo.left


def in_the_next(at, came):
    """A profile function: Ctrl-C where the demo has called, or been called, so many times."""

    def look(frame, event, arg):
        if frame.f_code.co_filename in FILES and event != "c_call":
            came.append(event)
            if len(came) == at:
                ctrl_c()

    return look


@pytest.mark.parametrize("first", [None, ctrl_c, lambda show: None], ids=["alone", "a second one", "once all passed"])
def test_one_at_any_moment(folder, first):
    """From when it begins, or has had its first."""
    for at in itertools.count(1):
        came = []
        look = in_the_next(at, came)

        def play(show, look=look):
            if first is not None:
                sys.setprofile(look)
                first(show)

        demo = Demo(folder, play)
        try:
            if first is None:
                sys.setprofile(look)
            demo.run()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        assert not demo.left, f"left by one at {came[-1]} {at}"
        if len(came) < at:
            break
    assert at > 20


class GivesUp(io.StringIO):
    """Python gives up the Ctrl-C that comes while it is told what is simulated."""

    def write(self, text):
        if "Simulated" in text:
            Finalized()
        return super().write(text)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_simulated_one_hears_the_one_that_was_given_up(terminal):
    said = GivesUp()
    assert run_simulated(Show(Console(file=said, width=200))) == INTERRUPTED
    assert said.getvalue().endswith("demo: interrupted\n") and "1. " not in said.getvalue()
