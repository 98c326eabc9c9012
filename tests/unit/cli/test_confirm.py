"""Who is asked before something breaks: a no sends nothing, and nobody there is no yes."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.cli.confirm import NotConfirmed, confirm
from weft.cli.desk import Misuse, code_of, message_of


def test_it_is_said_and_yes_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for answer in ("y\n", "YES\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        confirm("it breaks", False)
    assert capsys.readouterr() == ("", "it breaks\nGo on? [y/N] " * 2)


def test_yes_on_the_command_line_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    confirm("it breaks", True)
    assert capsys.readouterr().err == "it breaks\n"


def test_no_and_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("n\n", "\n", "yep\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(NotConfirmed) as said:
            confirm("it breaks", False)
        assert code_of(said.value) == 1
        assert message_of(said.value).startswith("weft: NotConfirmed: nothing was changed\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(Misuse, match="add --yes"):
        confirm("it breaks", False)


def test_ctrl_c_at_the_question_ends_at_once(cluster: Path, controller: str) -> None:
    words = [sys.executable, "-m", "weft", "vm", "delete", "web1", "--controller", controller]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as asked:
        assert asked.stderr is not None
        said = b""
        while not said.endswith(b"[y/N] "):
            said += asked.stderr.read(1)
        os.kill(asked.pid, signal.SIGINT)
        assert asked.wait(10) == 130
