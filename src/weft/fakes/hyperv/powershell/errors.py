"""What ends a statement, a loop, a function or a script. Raised in this package only; callers see the first two."""

from typing import Any

STOP, CONTINUE, SILENTLY_CONTINUE, IGNORE = "stop", "continue", "silentlycontinue", "ignore"


class NotUnderstood(Exception):
    """The script uses something that this interpreter does not know. No `catch` of a script sees it."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.what = what
        self.line = line


class PowerShellError(Exception):
    """An error record. `stops` is what the failing statement does to the script: a thrown error ends it whatever the
    preference says, a cmdlet's error only where the preference is Stop."""

    def __init__(self, message: str, *, id: str = "", category: str = "NotSpecified", stops: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.id = id
        """FullyQualifiedErrorId without the command."""
        self.category = category
        self.stops = stops
        self.command = ""
        """The cmdlet that failed."""
        self.line = 0
        self.target: Any = None
        """What was thrown, or what the cmdlet was about."""


class SessionLost(Exception):
    """The session is gone: nothing of the script runs any more, neither a `catch` nor a `finally`."""


class Returned(Exception):
    """`return` left a function, a script block or the script; its output was emitted before."""


class LoopLeft(Exception):
    """`break`."""


class LoopContinued(Exception):
    """`continue`."""
