"""libvirt's hook: put in its place, and run as libvirt runs it."""

import asyncio
import sys
from pathlib import Path

import pytest

from weft.agent.hook_socket import hook_socket
from weft.agent.install import install, uninstall
from weft.agent.starts import Start
from weft.model.errors import Invalid

DOMAIN = """<domain type='kvm'><name>web1</name><uuid>8C3F-1</uuid>
<metadata><weft:machine xmlns:weft="urn:weft:machine" name="web1" uuid="{uuid}"/></metadata>
<devices><interface type='bridge'><mac address='52:54:00:00:00:07'/></interface></devices></domain>"""


def test_the_hook_is_put_in_its_place_once_and_taken_away(tmp_path: Path) -> None:
    hooks, state = tmp_path / "hooks", tmp_path / "state"
    (hooks).mkdir()
    (hooks / "qemu").write_text("#!/bin/sh\nsomebody else's\n")
    path = hooks / "qemu.d" / "weft"
    assert install(hooks, state, sys.executable, dry_run=True)[0] == f"would write {path}" and not path.exists()
    said = install(hooks, state, sys.executable)
    assert said[0] == f"wrote {path}" and "restart its daemon" in said[1]
    assert path.stat().st_mode & 0o111 and str(state / "hook.sock") in path.read_text()
    assert install(hooks, state, sys.executable) == [f"{path} is as it should be"]
    assert install(hooks, tmp_path / "other", sys.executable) == [f"wrote {path}"]
    assert uninstall(hooks, dry_run=True) == [f"would remove {path}"] and path.exists()
    assert uninstall(hooks) == [f"removed {path}"]
    assert uninstall(hooks) == [f"{path} is not there"]
    assert (hooks / "qemu").read_text().endswith("somebody else's\n")
    assert [one.name for one in hooks.iterdir()] == ["qemu"], "the folder that it made is gone too"


def test_a_folder_that_is_another_hands_or_has_something_of_his_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "qemu.d").mkdir(parents=True)
    install(theirs, tmp_path, sys.executable)
    uninstall(theirs)
    assert list((theirs / "qemu.d").iterdir()) == []
    ours = tmp_path / "ours"
    install(ours, tmp_path, sys.executable)
    (ours / "qemu.d" / "theirs").write_text("#!/bin/sh\n")
    uninstall(ours)
    assert (ours / "qemu.d" / "theirs").exists()
    (ours / "qemu.d" / "theirs").unlink()
    install(ours, tmp_path, sys.executable)
    uninstall(ours)
    assert not (ours / "qemu.d").exists(), "it was ours before, and is empty now"


def test_somebody_elses_file_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    path = tmp_path / "qemu.d" / "weft"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nmine\n")
    for work in (lambda: install(tmp_path, tmp_path, sys.executable), lambda: uninstall(tmp_path)):
        with pytest.raises(Invalid, match="is not Weft's"):
            work()
    assert path.read_text() == "#!/bin/sh\nmine\n"


async def ran(path: Path, operation: str, domain: str, step: str = "begin") -> tuple[int, str]:
    """Exit code and standard error of the hook, called as libvirt calls it."""
    pipe = asyncio.subprocess.PIPE
    hook = await asyncio.create_subprocess_exec(path, "web1", operation, step, "-", stdin=pipe, stderr=pipe)
    _, said = await hook.communicate(domain.encode())
    return hook.returncode, said.decode()


async def test_the_hook_refuses_what_the_agent_refuses_and_names_the_twin(tmp_path: Path) -> None:
    install(tmp_path, tmp_path, sys.executable)
    path, asked = tmp_path / "qemu.d" / "weft", []

    async def refusal(start: Start) -> str:
        asked.append(start)
        return "" if start.comes else "in use by web9"

    async with hook_socket(tmp_path, refusal):
        assert (tmp_path / "hook.sock").stat().st_mode & 0o777 == 0o600
        code, said = await ran(path, "prepare", DOMAIN.format(uuid="8c3f-1"))
        assert (code, said) == (1, "weft: web1 may not start: in use by web9\n")
        assert await ran(path, "migrate", DOMAIN.format(uuid="another")) == (0, "")
        assert await ran(path, "started", DOMAIN.format(uuid="")) == (0, "")
    mac = 0x525400000007
    assert asked == [Start("8C3F-1", "web1", "web1", (mac,)), Start("8C3F-1", "web1", "", (mac,), True)]


async def test_without_its_agent_a_host_starts_its_machines(tmp_path: Path) -> None:
    install(tmp_path, tmp_path, sys.executable)
    code, said = await ran(tmp_path / "qemu.d" / "weft", "prepare", DOMAIN.format(uuid=""))
    assert code == 0 and said.startswith("weft: the agent does not answer, web1 starts unchecked")


async def test_a_question_that_makes_no_sense_ends_no_other(tmp_path: Path) -> None:
    async def refusal(start: Start) -> str:
        return "no"

    async with hook_socket(tmp_path, refusal):
        for line in (b"{\n", b'{"id": 7}\n', b"\n", b""):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "hook.sock")
            writer.write(line)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "hook.sock")
        writer.write(b'{"id": "x"}\n')
        assert await reader.readline() == b'{"refusal":"no"}\n'
        writer.close()
