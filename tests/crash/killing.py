"""Runs a child until it is killed, and holds its log against what it promised."""

import json
import subprocess
import sys
import time
from pathlib import Path

from weft.core.state import State
from weft.model.leases import COOLING, MAC_SCOPE
from weft.store.store import Store

ROOT = Path(__file__).parents[2]


def run_and_kill(
    folder: Path, start: int, seconds: float, module: str = "tests.crash.child", at_least: int = 0
) -> list[dict]:
    """The lines that the child could tell before it died: so many, and what it told in so many seconds."""
    command = [sys.executable, "-m", module, str(folder), str(start)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    ready = child.stdout.readline()
    assert b"ready" in ready or b"asked" in ready, ready
    first = b"".join(child.stdout.readline() for _ in range(at_least))
    time.sleep(seconds)
    child.kill()
    rest = first + child.stdout.read()
    child.wait()
    child.stdout.close()
    lines = rest.split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def check_log(store: Store, state: State) -> None:
    """Dense from the first revision, and enough to rebuild the state."""
    replayed, after = State(state.generation), 0
    while commits := store.log(after, 500):
        for commit in commits:
            assert commit.revision == after + 1
            after = commit.revision
            for change in commit.changes:
                replayed.apply(change)
    assert after == state.revision
    assert replayed == state
    cooling = [one for one in state.leases(MAC_SCOPE).values() if one.state == COOLING]
    for lease in cooling[:5]:
        assert [row.event for row in store.history(MAC_SCOPE, lease.address)][-1] == "released"
