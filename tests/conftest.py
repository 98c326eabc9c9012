"""Hypothesis profiles, the two markers that skip, and where tests write. Fixtures live beside the tests that use them.

`ci`, the default, runs the same examples every time, so a red build is red again on any desk. `soak` runs many random
ones, `fast` a tenth of the same; `make soak` and `make test-fast` choose them through WEFT_HYPOTHESIS_PROFILE.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("ci"), max_examples=10, stateful_step_count=15)
settings.register_profile("soak", max_examples=5_000, stateful_step_count=80, deadline=None, print_blob=True)
PROFILE = os.environ.get("WEFT_HYPOTHESIS_PROFILE", "ci")
settings.load_profile(PROFILE)


def examples(usual: int, *, soak: int) -> int:
    """How many a long search tries."""
    return {"soak": soak, "fast": max(2, usual // 10)}.get(PROFILE, usual)


MEMORY, ROOM = Path("/dev/shm"), 2 << 30
"""Stores and switches' databases sync thousands of times, so tests write in memory where so many bytes are free and
programs may run. What must survive is tested by killing processes, after which no kind of file system forgets."""


def _has_room(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    free = found.f_bavail * found.f_frsize
    return os.access(folder, os.W_OK) and free >= ROOM and not found.f_flag & os.ST_NOEXEC


if "TMPDIR" not in os.environ and _has_room(MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@functools.cache
def why_no_lab() -> str:
    """Return what is missing to run a lab in network namespaces here; empty if nothing is."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ovs-vswitchd") is None:
        return "needs Open vSwitch: run make setup"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return "network namespaces cannot be made here"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and why_no_lab():
        pytest.skip(why_no_lab())
    if item.get_closest_marker("soak") and PROFILE != "soak":
        pytest.skip("runs only in make soak")


@functools.cache
def _may_need_root(file: Path) -> bool:
    return "mark.root" in file.read_text()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m "root ..."` reads only files that have such tests: to collect the others takes longer than many a test."""
    if config.option.markexpr.startswith("root") and collection_path.name.startswith("test_"):
        return None if _may_need_root(collection_path) else True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Labs first, whose files take longest: what is left at the end is short, and no worker waits for another's lab."""
    if config.option.markexpr.startswith("root"):
        items.sort(key=lambda item: "e2e" not in item.path.parts)


def pytest_itemcollected(item: pytest.Item) -> None:
    """So that none is passed over above, nor by `make test`."""
    if item.get_closest_marker("alone") and not item.get_closest_marker("root"):
        raise pytest.UsageError(f"{item.nodeid} needs no root, so it cannot run alone")
    if item.get_closest_marker("root") and not _may_need_root(item.path):
        raise pytest.UsageError(f"{item.nodeid} needs root: write pytest.mark.root in its own file")
