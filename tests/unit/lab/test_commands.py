"""What a person is told who may not do it: a command that works when copied."""

from weft.lab.commands import as_root


def test_the_same_command_as_root_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_root(["/opt/weft/.venv/bin/weft", "lab", "up", "a b.yaml"], "/py") == (
        "sudo /opt/weft/.venv/bin/weft lab up 'a b.yaml'"
    )
    assert as_root([".venv/bin/weft", "demo"], "/py") == f"sudo {tmp_path}/.venv/bin/weft demo"
    assert as_root(["/opt/weft/src/weft/__main__.py", "demo"], "/py") == "sudo /py -m weft demo"
