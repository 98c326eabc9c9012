"""What an agent that was given no driver of tunnel encryption says: why there is none. Reads only. Linux.

Made by run.py.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

from weft.agent.encryption import Pair

_ESP = ("CONFIG_INET_ESP=y", "CONFIG_INET_ESP=m")


class NoEncryption:
    """Of an agent that was given no driver: says what else is missing."""

    def __init__(self, datapath: Callable[[], str], kernel_has_esp: bool) -> None:
        """`datapath` says the switch's datapath_type: netdev is userspace."""
        self._datapath = datapath
        self._kernel_has_esp = kernel_has_esp

    async def why_not(self) -> str:
        if self._datapath() == "netdev":
            return "its switch's datapath is in userspace, so its tunnels do not pass the kernel's IPsec"
        if not self._kernel_has_esp:
            return "its kernel has no ESP (CONFIG_INET_ESP)"
        return "its agent has no driver of tunnel encryption"

    async def keep(self, pairs: frozenset[Pair]) -> frozenset[Pair]:
        return frozenset()


def kernel_has_esp(root: Path, release: str) -> bool:
    """Is ESP in the kernel of this release, or a module of it (RFC 4303)? `root` is / but in tests."""
    if (root / "sys/module/esp4").exists():
        return True
    listed = (root / "lib/modules" / release / name for name in ("modules.dep", "modules.builtin"))
    if any("/esp4.ko" in _text(path) for path in listed):
        return True
    configuration = _text(root / "proc/config.gz") or _text(root / f"boot/config-{release}")
    return any(line in _ESP for line in configuration.splitlines())


def _text(path: Path) -> str:
    try:
        return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    except (OSError, EOFError):
        return ""
