"""Guests on disk: one file per machine, written by the agents' drivers and read by the lab's verbs.

A guest is a namespace whose eth0, eth1 ... end in the plug namespace, with one leg each to every host where the machine
is or moves to. The file is written before the namespace is made and deleted after it is gone. Drivers of several hosts
share a guest, so a writer holds the guest's lock.
"""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from weft.lab.state import LabFailure, write_whole

LOCK_SECONDS = 30.0


class GuestPort(msgspec.Struct, frozen=True):
    """One interface; its place in the guest's list is its number: eth0, eth1 ..."""

    instance_id: str
    mac: int


class Guest(msgspec.Struct, frozen=True):
    machine: str
    number: int
    namespace: str
    host: str = ""
    """Server on which it runs, or ran last; empty before its first start."""
    running: bool = False
    legs: dict[str, tuple[int, ...]] = {}
    """By server that has ports for it: which of its legs, in the order of the guest's ports."""
    ports: tuple[GuestPort, ...] = ()
    mtu: int = 0
    """Of its interfaces, as it was last started."""


class GuestFiles:
    """The guests of one lab."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, machine: str) -> Guest | None:
        try:
            return msgspec.json.decode(self._file(machine).read_bytes(), type=Guest)
        except FileNotFoundError:
            return None

    def all(self) -> list[Guest]:
        found = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # removed while we looked
                found.append(msgspec.json.decode(path.read_bytes(), type=Guest))
        return sorted(found, key=lambda guest: guest.number)

    def write(self, guest: Guest) -> None:
        write_whole(self._file(guest.machine), msgspec.json.encode(guest))

    def delete(self, machine: str) -> None:
        self._file(machine).unlink(missing_ok=True)

    def version(self) -> int:
        """Differs after any change."""
        return self.folder.stat().st_mtime_ns

    async def create(self, machine: str, namespace: str) -> Guest:
        """The guest's file, with a number that no other guest has. The caller holds the guest's lock."""
        async with self._flock("@numbers"):
            taken = {guest.number for guest in self.all()}
            number = next(n for n in range(len(taken) + 1) if n not in taken)
            guest = Guest(machine=machine, number=number, namespace=namespace)
            self.write(guest)
            return guest

    def lock_legs(self, host: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold the giving out of a host's legs."""
        return self._flock(f"@legs{host}")

    def lock(self, machine: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold one guest against the drivers of other hosts."""
        return self._flock(machine.lower())

    @contextlib.asynccontextmanager
    async def _flock(self, name: str) -> AsyncIterator[None]:
        if sys.platform == "win32":
            raise LabFailure("The lab needs Linux.")
        import fcntl  # only where it exists

        # in a folder of its own, so that locking does not look like a change of a guest
        locks = self.folder.with_name("locks")
        locks.mkdir(exist_ok=True)
        with (locks / name).open("w") as handle:
            until = asyncio.get_running_loop().time() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if asyncio.get_running_loop().time() > until:
                        raise LabFailure(f"Another host holds guest '{name}' for {LOCK_SECONDS:g} s.") from None
                    await asyncio.sleep(0.005)
            yield

    def _file(self, machine: str) -> Path:
        """Ids are compared without case; a long one keeps its beginning and a digest."""
        name = machine.lower()
        if len(name) > 100:
            name = f"{name[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.folder / f"{name}.json"
