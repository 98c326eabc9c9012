"""What runs a script on one Hyper-V host. Made by psrp.py (the real one) and by the behaving fake.

Called by driver.py and plane.py. Every error names the host; that of a script names the cmdlet too.
"""

import re
from typing import Any, Protocol

from weft.core.hyperv.script import Script

_SAYS_CMDLET = re.compile(r"([A-Z][a-z]+-[A-Z][A-Za-z]+): (.+)", re.DOTALL)
"""How our own scripts throw: with the cmdlet that did not do what it should."""


class ShellError(Exception):
    """A script could not be run to its end on `host`."""

    def __init__(self, host: str, message: str) -> None:
        super().__init__(message)
        self.host = host
        self.message = message

    @property
    def words(self) -> str:
        """What is wrong, without the host's name."""
        return self.message

    def __str__(self) -> str:
        return f"{self.host}: {self.words}"


class HostUnreachable(ShellError):
    """Nothing answers there, or nothing that can be trusted. Whether the script ran is not known."""


class CredentialsRefused(ShellError):
    """The host answers and lets these credentials do nothing; the script did not run."""


class ScriptFailed(ShellError):
    """The host ran the script up to an error of its own."""

    def __init__(self, host: str, script: str, message: str, *, cmdlet: str = "", line: int = 0) -> None:
        super().__init__(host, message)
        self.script = script
        self.cmdlet = cmdlet
        """The one that failed; empty where it was none of them."""
        self.line = line
        """Of the script, from 1; 0 if unknown."""

    @property
    def words(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"{f'{self.cmdlet}: ' if self.cmdlet else ''}{self.message} (script {self.script}{where})"


def told_by_script(message: str, cmdlet: str) -> tuple[str, str]:
    """The cmdlet and the message of an error record, in one line. What our own scripts throw names its cmdlet itself;
    PowerShell then calls it an error of the function that threw, or of nothing."""
    line = " ".join(message.split())
    own = _SAYS_CMDLET.fullmatch(line)
    return (own[1], own[2]) if own else (cmdlet, line)


class Shell(Protocol):
    """One host. Calls may run together: more than it has sessions for wait their turn."""

    async def run(self, script: Script, arguments: Any) -> Any:
        """Run it with `arguments` (what msgspec can encode) as its JSON argument; returns what it wrote, decoded.

        Raises ShellError. A call that is cancelled stops waiting; what the host had begun may still go on.
        """
        ...
