"""Runs ip, tc and ovs-vsctl from the driver's event loop, and says plainly what failed."""

import asyncio
import os
from collections.abc import Sequence

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.programs import PATH


async def run(command: Sequence[str], lines: Sequence[str] = (), *, check: bool = True) -> str:
    """Run to its end with `lines` as input; its output. Raises HypervisorFailure with its last words."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if lines else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": PATH},
    )
    text = "".join(f"{line}\n" for line in lines).encode() if lines else None
    output, errors = await process.communicate(text)
    if check and process.returncode != 0:
        words = errors.decode(errors="replace").strip().splitlines()[-3:]
        raise HypervisorFailure(f"{' '.join(command)}: {' / '.join(words) or process.returncode}")
    return output.decode(errors="replace")


async def ip(space: str, lines: Sequence[str]) -> None:
    """Many `ip` commands inside a namespace; none is no error."""
    if lines:
        await run(["ip", "-n", space, "-batch", "-"], lines)


async def links(space: str) -> set[str]:
    """Names of the links in a namespace."""
    shown = await run(["ip", "-n", space, "-o", "link", "show"])
    return {line.split(": ")[1].partition("@")[0] for line in shown.splitlines()}
