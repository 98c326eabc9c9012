"""Puts libvirt's hook where libvirt looks for it, and takes it away again. Called by __main__; idempotent.

It goes into a folder for many hooks, `qemu.d`, which libvirt runs since 6.5, so that a hook that somebody else put at
`qemu` stays as it is. A folder that was made for it bears a mark, and goes with it if nothing else came into it.
"""

import os
from pathlib import Path

from weft.agent.hook_script import is_ours, script
from weft.agent.hook_socket import FILE
from weft.model.errors import Invalid

FOLDER, NAME = "qemu.d", "weft"
MADE = ".weft-made"
"""In a folder that was made by us. libvirt runs no file that nobody may execute."""


def install(hooks: Path, state: Path, python: str, dry_run: bool = False) -> list[str]:
    """What was done, or would be, in words. Raises Invalid: somebody else's file is in the place, or it cannot be
    written."""
    path = hooks / FOLDER / NAME
    wanted = script(python, str((state / FILE).absolute()))
    before = _read(path)
    if before is not None and not is_ours(before):
        raise Invalid(f"{path} is not Weft's: move it away, or name other hooks.", target="hooks")
    if before == wanted and os.access(path, os.X_OK):
        return [f"{path} is as it should be"]
    said = [f"{'would write' if dry_run else 'wrote'} {path}"]
    if not dry_run:
        try:
            _make_folder(path.parent)
            fresh = path.with_name(f".{NAME}.new")
            fresh.write_text(wanted)
            fresh.chmod(0o755)
            os.replace(fresh, path)
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror or error}.", target="hooks") from error
    if before is None:
        said.append("libvirt looks for hooks when it starts: restart its daemon (virtqemud or libvirtd); guests go on")
    return said


def uninstall(hooks: Path, dry_run: bool = False) -> list[str]:
    """The way back; raises as install() does."""
    path = hooks / FOLDER / NAME
    before = _read(path)
    if before is None:
        return [f"{path} is not there"]
    if not is_ours(before):
        raise Invalid(f"{path} is not Weft's: it stays.", target="hooks")
    if not dry_run:
        try:
            path.unlink()
            _remove_folder(path.parent)
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror or error}.", target="hooks") from error
    return [f"{'would remove' if dry_run else 'removed'} {path}"]


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True)
        (folder / MADE).touch(mode=0o600)


def _remove_folder(folder: Path) -> None:
    mark = folder / MADE
    if mark.exists() and list(folder.iterdir()) == [mark]:
        mark.unlink()
        folder.rmdir()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror or error}.", target="hooks") from error
