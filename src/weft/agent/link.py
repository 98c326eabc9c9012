"""What an agent needs of its connection, and who it says it is. Used by agent.py, session.py and tests."""

from typing import Protocol

import msgspec


class Link(Protocol):
    """A connection to the controller; both raise ConnectionError when it is gone."""

    async def send(self, message: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class RefusedByController(Exception):
    """The controller does not want this agent; `retry` if that may pass."""

    def __init__(self, reason: str, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


class Identity(msgspec.Struct, frozen=True):
    """Who this agent is, for Hello."""

    server: str
    agent: str
    """Random id of this process."""
    hypervisor: str = ""
