"""Network namespaces of a lab: made with our mark, found by it, deleted. Never touches one that is not marked."""

import json
from pathlib import Path

from weft.lab import names
from weft.lab.commands import ip_batch, run, sysctl
from weft.lab.state import LabFailure

NETNS = Path("/run/netns")


def exists(namespace: str) -> bool:
    return (NETNS / namespace).exists()


def make(lab: str, namespace: str, settings: dict[str, str | int]) -> bool:
    """Make it with these sysctl settings unless it is there; True if made now. Raises LabFailure for a stranger's."""
    if exists(namespace):
        if not _ours(lab, namespace):
            raise LabFailure(
                f"A namespace '{namespace}' is there that no lab made: choose another --name, or delete it with "
                f"ip netns del {namespace}"
            )
        return False
    run(["ip", "netns", "add", namespace])
    sysctl(namespace, settings)
    ip_batch(namespace, [f'link set dev lo alias "{names.mark(lab)}" up'])
    return True


def delete(namespace: str) -> None:
    if exists(namespace):
        run(["ip", "netns", "del", namespace], check=False)


def of_lab(lab: str) -> list[str]:
    """Every namespace that carries the lab's mark, whatever any file says."""
    try:
        found = sorted(entry.name for entry in NETNS.iterdir())
    except OSError:
        return []
    return [name for name in found if name.startswith(f"{lab}-") and _ours(lab, name)]


def links(namespace: str) -> set[str]:
    """Names of the links in it."""
    return {link["ifname"] for link in json.loads(run(["ip", "-n", namespace, "-j", "link", "show"]) or "[]")}


def _ours(lab: str, namespace: str) -> bool:
    shown = run(["ip", "-n", namespace, "-j", "link", "show", "dev", "lo"], check=False)
    return bool(shown.strip()) and json.loads(shown)[0].get("ifalias") == names.mark(lab)
