"""Network namespaces of a lab: made with our mark, found by it, deleted. Never touches one that is not marked."""

import contextlib
import json
import os
import shlex
import signal
from pathlib import Path

from weft.lab import names
from weft.lab.commands import run
from weft.lab.state import LabFailure

NETNS = Path("/run/netns")


def exists(namespace: str) -> bool:
    """A name whose maker was killed before he bound it is only a file: it is deleted and does not count."""
    path = NETNS / namespace
    try:
        bound = path.stat().st_dev != NETNS.stat().st_dev
    except FileNotFoundError:
        return False
    if not bound:
        path.unlink(missing_ok=True)
    return bound


def version() -> int:
    """Differs after any namespace of this machine was made or deleted; 0 while there never was one."""
    return NETNS.stat().st_mtime_ns if NETNS.exists() else 0


def make(lab: str, namespace: str, settings: dict[str, str | int]) -> bool:
    """Make it with these sysctl settings unless it is there; True if made now. Raises LabFailure for a stranger's."""
    if exists(namespace):
        if not _ours(lab, namespace):
            raise LabFailure(
                f"A namespace '{namespace}' is there that no lab made: choose another --name, or delete it with "
                f"ip netns del {namespace}"
            )
        return False
    run(making(lab, namespace, settings))
    return True


def making(lab: str, namespace: str, settings: dict[str, str | int]) -> list[str]:
    """The command that makes it. It gets its name last: no namespace of that name is ever without mark and settings."""
    written = shlex.join(f"{key}={value}" for key, value in settings.items())
    script = f'ip link set dev lo alias "$1" up && sysctl -qw {written} && exec ip netns attach "$2" $$'
    return ["unshare", "--net", "sh", "-c", script, "sh", names.mark(lab), namespace]


def delete(namespace: str) -> None:
    """With the daemons that an edge's namespace has; it lasts as long as one of them does."""
    if exists(namespace):
        for pid in run(["ip", "netns", "pids", namespace], check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run(["ip", "netns", "del", namespace], check=False)


def of_lab(lab: str) -> list[str]:
    """Every namespace that carries the lab's mark, whatever any file says."""
    try:
        found = sorted(entry.name for entry in NETNS.iterdir())
    except OSError:
        return []
    return [name for name in found if name.startswith(f"{lab}-") and exists(name) and _ours(lab, name)]


def links(namespace: str) -> set[str]:
    """Names of the links in it."""
    return {link["ifname"] for link in json.loads(run(["ip", "-n", namespace, "-j", "link", "show"]) or "[]")}


def _ours(lab: str, namespace: str) -> bool:
    shown = run(["ip", "-n", namespace, "-j", "link", "show", "dev", "lo"], check=False)
    alias = json.loads(shown)[0].get("ifalias", "") if shown.strip() else ""
    return bool(alias == names.mark(lab) or alias.startswith(names.EDGE_MARK))
