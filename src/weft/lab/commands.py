"""Runs ip, tc, ovs-vsctl and the like, and says plainly what failed. Used by the lab's verbs (synchronous side)."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from weft.agent.programs import PATH, ProgramFailure, ProgramMissing, run_to_end
from weft.lab.state import LabFailure

PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "ethtool": "ethtool",
    "ping": "iputils-ping",
    "nft": "nftables",
    "conntrack": "conntrack",
    "conntrackd": "conntrackd",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "sysctl": "procps",
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-common",
    "ovsdb-tool": "openvswitch-common",
}
"""What the lab runs, and the Debian package that brings it."""


def missing() -> str:
    """Why the lab cannot run on this machine, with the command that helps; empty if it can."""
    absent = [tool for tool in PACKAGES if shutil.which(tool, path=PATH) is None]
    if not hasattr(os, "geteuid"):
        return "The lab needs Linux with network namespaces."
    if absent:
        packages = " ".join(sorted({PACKAGES[tool] for tool in absent}))
        return f"The lab needs {', '.join(absent)}, not found here. Install: sudo apt-get install {packages}"
    if os.geteuid() != 0:
        return f"The lab makes network namespaces, which needs root: {as_root(sys.argv, sys.executable)}"
    return ""


def as_root(argv: Sequence[str], python: str) -> str:
    """The same command with sudo in front, by its full path: sudo looks in a PATH of its own."""
    program = Path(argv[0])
    weft = [python, "-m", "weft"] if program.name == "__main__.py" else [str(program.absolute())]
    return shlex.join(["sudo", *weft, *argv[1:]])


def check_machine() -> None:
    """Raises LabFailure with the command that helps."""
    if reason := missing():
        raise LabFailure(reason)


def run(command: Sequence[str], text: str = "", *, check: bool = True, timeout: float = 120) -> str:
    """Run to its end with `text` as input; return its output. Raises LabFailure with its last words."""
    try:
        return run_to_end(command, text, timeout, check=check)
    except ProgramMissing as failure:
        raise LabFailure(f"{failure}: make setup installs what the lab needs.") from None
    except ProgramFailure as failure:
        raise LabFailure(str(failure)) from None


def ip_batch(namespace: str, lines: Sequence[str]) -> None:
    """Run many `ip` commands inside a namespace by one process."""
    run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def within(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, run in a network namespace and nothing else changed: namespaces made inside stay visible outside."""
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *command]


def sysctl(namespace: str, settings: dict[str, str | int]) -> None:
    run(within(namespace, ["sysctl", "-qw", *(f"{key}={value}" for key, value in settings.items())]))
