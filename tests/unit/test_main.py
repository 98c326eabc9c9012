"""The command itself: what it says when it cannot begin, in one line and with exit code 1."""

import subprocess
import sys
from pathlib import Path

import pytest


def weft(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from weft.__main__ import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("below", ["", "store"])
def test_a_data_folder_that_cannot_be_is_said_plainly(tmp_path: Path, below: str) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    ended = weft("serve", "--data", str(taken / below), "--listen", "127.0.0.1:0")
    [line] = ended.stderr.splitlines()
    assert (ended.returncode, str(taken) in line, "Name a folder" in line) == (1, True, True)
    assert taken.read_text() == "not a folder"
