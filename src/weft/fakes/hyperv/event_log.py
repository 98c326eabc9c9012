"""The event logs of one host. Messages are in the host's language; who acts on them reads ids and values."""

import msgspec

WORKER_ADMIN = "Microsoft-Windows-Hyper-V-Worker-Admin"
WORKER = "Microsoft-Windows-Hyper-V-Worker"
SYSTEM = "System"
CHECKPOINT_APPLIED = 18596


class Event(msgspec.Struct, frozen=True):
    record: int
    """From 1, in each log by itself."""
    log: str
    provider: str
    id: int
    level: int
    """2 error, 3 warning, 4 information."""
    time: float
    values: tuple[tuple[str, str], ...]
    message: str


class EventLog:
    """Newest last."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, source: tuple[str, str], id: int, level: int, time: float, said: "Said") -> Event:
        """`source` is (log, provider)."""
        record = sum(each.log == source[0] for each in self.events) + 1
        event = Event(record, *source, id, level, time, said.values, said.message)
        self.events.append(event)
        return event


class Said(msgspec.Struct, frozen=True):
    values: tuple[tuple[str, str], ...]
    message: str
