"""What a lab is, on disk: lab.json in the lab's folder, written before anything is made, so that all of it is known.

All verbs work from it, also while the controller is dead. One verb that changes a lab runs at a time (`lock`).
Guests have files of their own (weft.lab.guests), since the agents write those.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from weft.lab import names
from weft.lab.processes import Process, boot_id
from weft.model.errors import Broken, Conflict, NotFound

SOCKET_PATH_LIMIT = 100
"""Linux allows 107 characters; the longest name below a host's folder takes a few."""


class LabFailure(Broken):
    """Something on this machine does not do what the lab needs; the message says what, and what helps."""

    code = "LabFailure"


class HostState(msgspec.Struct, frozen=True):
    """One host. Process is None where it was killed or never started."""

    name: str
    """The server's resource id, as the file spells it."""
    number: int
    provider_address: str
    """With prefix length."""
    gateway: str = ""
    made: bool = False
    """Whether its namespace, cable and bridges are complete."""
    database: Process | None = None
    switch: Process | None = None
    agent: Process | None = None
    hypervisor: str = "lab"
    """lab: machines are namespaces; libvirt: machines are booted by a libvirtd of this host's own."""
    libvirtd: Process | None = None


class ExternalState(msgspec.Struct, frozen=True):
    """Something outside of all virtual networks."""

    name: str
    number: int
    address: str
    """With prefix length."""
    beside: str
    """The host on whose provider subnet's segment it hangs."""
    routes: tuple[tuple[str, str], ...] = ()
    """(Prefix, next hop)."""
    vlan: int = 0
    """0: untagged."""


class LabState(msgspec.Struct, frozen=True):
    name: str
    boot: str
    """Of the machine: after another boot no process or namespace of the lab is left."""
    url: str = ""
    controller_own: bool = True
    """False if the lab uses a controller that somebody else runs."""
    controller_target: str = ""
    """Where the feed's relay connects: unix:PATH or http URL."""
    controller: Process | None = None
    relay: Process | None = None
    hosts: dict[str, HostState] = {}
    """By name in lower case."""
    externals: tuple[ExternalState, ...] = ()
    dhcp: tuple[str, ...] = ()
    """Machines, in lower case, that ask for their addresses instead of being given them."""


def labs_folder() -> Path:
    return Path(os.environ.get("WEFT_LAB_DIR", "/run/weft-lab")).absolute()


class LabFolder:
    """One lab's folder: where things are, and its state. Calls from several threads of one verb are safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._guard = threading.Lock()

    @property
    def command(self) -> str:
        """What a person types before a verb to mean this lab."""
        return names.command(self.name)

    @property
    def data(self) -> Path:
        """The controller's."""
        return self.path / "data"

    @property
    def feed_socket(self) -> Path:
        """Where agents connect: the relay's socket."""
        return self.path / "feed.sock"

    @property
    def delay(self) -> Path:
        """Holds the seconds by which the relay delays the feed."""
        return self.path / "delay"

    @property
    def guests(self) -> Path:
        return self.path / "guests"

    def dhcp_folder(self, guest: int) -> Path:
        """What the DHCP clients of a namespace guest, by its number, run with and were told."""
        return self.path / "dhcp" / str(guest)

    def rundir(self, host: HostState) -> Path:
        """Of the host's Open vSwitch: database, sockets, logs."""
        return self.path / "h" / str(host.number)

    def libvirt_folder(self, host: HostState) -> Path:
        """What stands in the place of libvirt's folders for this host's libvirtd."""
        return self.path / "v" / str(host.number)

    def agent_folder(self, host: HostState) -> Path:
        return self.path / "a" / str(host.number)

    def log(self, what: str) -> Path:
        return self.path / "log" / f"{what}.log"

    def exists(self) -> bool:
        return (self.path / "lab.json").exists()

    def create(self) -> LabState:
        """The empty lab. Raises LabFailure where the path is too long for sockets."""
        if len(str(self.path)) + len("/h/999/ovs-vswitchd.4194304.ctl") > SOCKET_PATH_LIMIT:
            raise LabFailure(f"{self.path} is too long for the sockets below it: set WEFT_LAB_DIR to a shorter path.")
        for folder in (self.path, self.guests, self.path / "h", self.path / "a", self.path / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        state = LabState(name=self.name, boot=boot_id())
        self._write(state)
        return state

    def read(self) -> LabState:
        """Raises NotFound if no such lab is up."""
        try:
            return msgspec.json.decode((self.path / "lab.json").read_bytes(), type=LabState)
        except FileNotFoundError:
            others = sorted(each.parent.name for each in self.path.parent.glob("*/lab.json"))
            up = f" Up: {', '.join(others)}, each by its --name." if others else ""
            raise NotFound(f"No lab '{self.name}' is up: {self.command} up FILE makes one.{up}") from None
        except msgspec.DecodeError as error:
            down = f"{self.command} down clears it away."
            raise LabFailure(f"{self.path}/lab.json is not readable ({error}): {down}") from error

    def change(self, edit: Callable[[LabState], LabState]) -> LabState:
        """Read, edit, write as one."""
        with self._guard:
            state = edit(self.read())
            self._write(state)
            return state

    def change_host(self, name: str, edit: Callable[[HostState], HostState]) -> HostState:
        key = name.lower()
        state = self.change(lambda old: msgspec.structs.replace(old, hosts={**old.hosts, key: edit(old.hosts[key])}))
        return state.hosts[key]

    def host(self, name: str) -> HostState:
        """Raises NotFound."""
        state = self.read()
        if (found := state.hosts.get(name.lower())) is None:
            known = ", ".join(host.name for host in state.hosts.values()) or "none"
            raise NotFound(f"No host '{name}' in lab '{self.name}'; its hosts: {known}.")
        return found

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, state: LabState) -> None:
        write_whole(self.path / "lab.json", msgspec.json.format(msgspec.json.encode(state)))


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old or the new content, whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    scratch.write_bytes(content)
    os.replace(scratch, path)


def open_lab(name: str) -> LabFolder:
    """Raises Invalid for a bad name; does not look whether the lab exists."""
    return LabFolder(labs_folder() / names.check_lab_name(name))


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lab for one changing verb. Raises Conflict if another does. The lock file is outside the lab's folder."""
    handle = None
    while handle is None:
        handle = _take(folder / f".{name}.lock", name)
    with handle:
        try:
            yield
        finally:
            if not (folder / name).exists():  # the lab is gone: nothing of it stays, this file neither
                os.unlink(handle.name)
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _take(lock: Path, name: str) -> IO[str] | None:
    """The locked file; None if the one who held it deleted it meanwhile. Raises Conflict if it is held."""
    if sys.platform == "win32":
        raise LabFailure("The lab needs Linux; weft demo --simulated runs anywhere.")
    import fcntl  # only where it exists: the simulated demo imports this file on any desk

    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = lock.open("w")
    except FileNotFoundError:  # the folder went with its last lab
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise Conflict(f"Another weft lab command is changing lab '{name}': wait for it to end.") from None
    if lock.exists() and lock.stat().st_ino == os.fstat(handle.fileno()).st_ino:
        return handle
    handle.close()
    return None
