"""Waiting for many hosts at once, and rewriting checkpoints, from the command line."""

from typing import Any

import pytest

from tests.unit.cli.conftest import Weft
from weft.cli import errands
from weft.cli.actions import NotAll


class Listing:
    """A controller whose machines are further at each look; the last state lasts."""

    def __init__(self, *states: dict[str, str]) -> None:
        self.states = list(states)

    async def list_all(self, path: str) -> list[Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return [{"resourceId": name, "properties": _properties(phase)} for name, phase in state.items()]


def _properties(phase: str) -> dict[str, Any]:
    if not phase:
        return {}
    return {"errand": {"phase": phase} | ({"failure": "no such file"} if phase == "failed" else {})}


async def test_how_far_many_hosts_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(errands, "LOOK_SECONDS", 0.001)
    client: Any = Listing(
        {"a": "asked", "b": "asked", "other": "asked"},
        {"a": "", "b": "asked", "other": "asked"},
        {"a": "", "b": "failed", "other": "asked"},
    )
    with pytest.raises(NotAll, match="b: no such file; it is as it was"):
        await errands.all_done(client, ["A", "b"], "back on their hosts")
    assert capsys.readouterr().err.splitlines() == [
        "0 of 2 back on their hosts, 2 under way",
        "1 of 2 back on their hosts, 1 under way",
        "1 of 2 back on their hosts, 1 failed",
    ]
    await errands.all_done(Listing({"a": ""}), ["a"], "done")


@pytest.mark.usefixtures("cluster")
class TestRewriting:
    def test_where_no_host_keeps_checkpoints(self, weft: Weft) -> None:
        assert weft("vm", "checkpoint", "web1", "c").exit_code == 0
        refused = weft("vm", "rewrite-checkpoints", "web1", "--dry-run")
        assert refused.exit_code == 1 and "No agent tells of checkpoints of 'web1'" in refused.stderr
        nothing = weft("vm", "rewrite-checkpoints", "--all")
        assert nothing.exit_code == 0 and "every checkpoint holds what its machine owns" in nothing.output

    @pytest.mark.parametrize("words", [(), ("web1", "--all")])
    def test_words_that_make_no_sense(self, weft: Weft, words: tuple[str, ...]) -> None:
        assert weft("vm", "rewrite-checkpoints", *words).exit_code == 2
