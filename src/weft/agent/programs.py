"""Runs ip, tc, ovs-vsctl and the like to their end, and says plainly what failed. Called by what makes edges, and by
the lab's verbs. Synchronous; each gives the failure its own type."""

import os
import subprocess
from collections.abc import Sequence

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Debian keeps ip and ovs-vswitchd out of a plain user's path."""


class ProgramFailure(Exception):
    """It did not do what it was to; the message has the command and its last words."""


class ProgramMissing(ProgramFailure):
    """There is none of that name."""


def run_to_end(command: Sequence[str], text: str, patience_s: float, *, check: bool = True) -> str:
    """Its output, given `text` as input. Raises ProgramFailure; `check` False: not for an exit code."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            env={**os.environ, "PATH": PATH},
        )
    except FileNotFoundError:
        raise ProgramMissing(f"{command[0]} is not installed") from None
    except OSError as error:
        raise ProgramFailure(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise ProgramFailure(f"{' '.join(command)}: no end after {patience_s:g} s") from None
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ProgramFailure(f"{' '.join(command)}: {' / '.join(words[-3:]) or f'exit code {done.returncode}'}")
    return done.stdout
