"""The lab's controller and the feed's relay as processes, and what the lab asks of the controller's API."""

import asyncio
import socket
import sys
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from weft.cli.documents import Document, Documents
from weft.cli.plan import Plan, apply
from weft.lab import names, relay
from weft.lab.processes import alive, kill, spawn, written_down
from weft.lab.state import LabFailure, LabFolder
from weft.model.errors import WeftError
from weft.wire.client import WEFT, Client, ControllerUnreachable, Patience, path_of

USUAL_PORT = 8470
FIRST_OTHER_PORT, OTHER_PORTS = 18470, 1000
PORT_SECONDS = 30.0
READY_SECONDS = 60.0
CONNECT_SECONDS = 60.0
RUN_SECONDS = 60.0

T = TypeVar("T")


def new_id() -> str:
    return str(uuid.uuid4())


def ask(url: str, question: Callable[[Client], Awaitable[T]], patience: Patience | None = None) -> T:
    """One conversation with the controller, from synchronous code."""

    async def conversation() -> T:
        async with Client.connect(url, new_id, patience) as client:
            return await question(client)

    return asyncio.run(conversation())


def start_controller(folder: LabFolder) -> bool:
    """Start it unless it runs; does not wait. False if it ran, or if the lab uses somebody else's."""
    state = folder.read()
    if not state.controller_own or alive(state.controller):
        return False
    log = folder.log("controller")
    kill(written_down(log))
    port = _same_port(state.url) if state.url else _free_port(folder.name)
    folder.data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "weft", "serve", "--data", str(folder.data), "--listen", f"127.0.0.1:{port}"]
    process = spawn(command, log)
    folder.change(
        lambda old: msgspec.structs.replace(
            old,
            controller=process,
            url=f"http://127.0.0.1:{port}",
            controller_target=f"unix:{folder.data / 'weft.sock'}",
        )
    )
    return True


def stop_controller(folder: LabFolder) -> bool:
    """kill -9. False if it did not run. Raises LabFailure for a controller that is not the lab's."""
    state = folder.read()
    if not state.controller_own:
        raise LabFailure(f"The controller at {state.url} is not the lab's: it was named with --controller.")
    ended = kill(state.controller)
    folder.change(lambda old: msgspec.structs.replace(old, controller=None))
    return ended


def start_relay(folder: LabFolder) -> bool:
    """False if it ran."""
    state = folder.read()
    if alive(state.relay):
        return False
    log = folder.log("relay")
    kill(written_down(log))
    command = [sys.executable, relay.__file__, str(folder.feed_socket), state.controller_target]
    process = spawn([*command, str(folder.delay)], log)
    folder.change(lambda old: msgspec.structs.replace(old, relay=process))
    return True


def await_ready(folder: LabFolder) -> None:
    """Until /readyz says so. Raises LabFailure with what the controller said last."""
    state = folder.read()

    async def ready(client: Client) -> bool:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            try:
                await client.get("/readyz")
                return True
            except WeftError:
                if state.controller_own and not alive(folder.read().controller):
                    return False
            await asyncio.sleep(0.03)
        return False

    if not ask(state.url, ready, Patience(tries=1)):
        ended = state.controller_own and not alive(folder.read().controller)
        how = "has ended" if ended else f"is not ready after {READY_SECONDS:g} s"
        raise LabFailure(f"The controller at {state.url} {how}: {last_words(folder, 'controller')}")


def last_words(folder: LabFolder, what: str) -> str:
    try:
        lines = folder.log(what).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return " / ".join(lines[-3:]) or "it said nothing"


def apply_resources(folder: LabFolder, resources: Sequence[Document]) -> Plan:
    """As `weft apply` does. Raises BadFile, RefusedDocument."""
    return ask(folder.read().url, lambda client: apply(client, Documents(tuple(resources))))


def await_agents(folder: LabFolder, servers: Sequence[str]) -> None:
    """Until the agents of these servers are connected: only then are machines carried out on them."""

    async def connected(client: Client) -> list[str]:
        waiting, until = list(servers), time.monotonic() + CONNECT_SECONDS
        while waiting and time.monotonic() < until:
            states = await asyncio.gather(*(client.get(f"{WEFT}/servers/{name}/state") for name in waiting))
            waiting = [name for name, state in zip(waiting, states, strict=True) if not state.get("connected")]
            if waiting:
                await asyncio.sleep(0.05)
        return waiting

    if waiting := ask(folder.read().url, connected):
        host = folder.host(waiting[0])
        raise LabFailure(
            f"No agent connected in {CONNECT_SECONDS:g} s from {', '.join(waiting)}: "
            f"{last_words(folder, f'agent-{host.number}')}"
        )


def start_machines(folder: LabFolder, machines: Sequence[str]) -> list[str]:
    """Start those that do not run, all at once; their names. All run afterwards. Raises the first refusal."""

    async def start(client: Client) -> list[str]:
        found = await _machines(client, machines)
        off = [name for name, machine in found.items() if machine.get("powerState") != "Running"]
        await asyncio.gather(*(client.post(f"{WEFT}/virtualMachines/{name}/start", {}) for name in off))
        await _until_they_run(client, machines)
        return off

    return ask(folder.read().url, start)


async def _machines(client: Client, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = await asyncio.gather(*(client.get(f"{WEFT}/virtualMachines/{name}") for name in names))
    return {name: machine["properties"] for name, machine in zip(names, found, strict=True)}


async def _until_they_run(client: Client, machines: Sequence[str]) -> None:
    """A command that was interrupted since may have begun to start some: to the controller they are Running."""
    until = time.monotonic() + RUN_SECONDS
    while late := await _late(client, machines):
        if time.monotonic() > until:
            raise LabFailure(f"{', '.join(late)} should run and did not within {RUN_SECONDS:g} s: see weft vm list")
        await asyncio.sleep(0.05)


async def _late(client: Client, machines: Sequence[str]) -> list[str]:
    """Those that are to run on a connected host which does not say that they do."""
    found = await _machines(client, machines)
    homes = {
        name: machine["server"]["resourceRef"].rpartition("/")[2]
        for name, machine in found.items()
        if machine.get("powerState") == "Running"
    }
    servers = sorted(set(homes.values()))
    states = await asyncio.gather(*(client.get(f"{WEFT}/servers/{server}/state") for server in servers))
    there = [one for state in states for one in state["machines"]]
    run = {one["machine"].lower() for one in there if one["power"] == "Running"}
    connected = {server for server, state in zip(servers, states, strict=True) if state.get("connected")}
    return [name for name, server in homes.items() if server in connected and name.lower() not in run]


def get(folder: LabFolder, ref: str) -> Any:
    """A resource by its resourceRef."""
    return ask(folder.read().url, lambda client: client.get(path_of(ref)))


def answers(url: str) -> bool:
    """Whether a controller answers there now."""

    async def healthy(client: Client) -> bool:
        await client.get("/healthz")
        return True

    try:
        return ask(url, healthy, Patience(tries=1, answer_s=2.0))
    except (ControllerUnreachable, WeftError):
        return False


def _free_port(lab: str) -> int:
    """The usual port for the usual lab, so that `weft get` finds it; others below those that the kernel hands out.

    It stays taken until this command ends: another lab that begins now must not choose it too, before the controller
    listens.
    """
    begin = zlib.crc32(lab.encode()) % OTHER_PORTS
    others = [FIRST_OTHER_PORT + (begin + step) % OTHER_PORTS for step in range(OTHER_PORTS)]
    for port in [USUAL_PORT, *others] if lab == names.DEFAULT_LAB else others:
        if _take(port):
            return port
    raise LabFailure("No port of 127.0.0.1 is free for the controller.")


def _same_port(url: str) -> int:
    """A controller comes back where it was: whoever talks to it holds its URL. Raises LabFailure if it is taken."""
    port, until = int(url.rpartition(":")[2]), time.monotonic() + PORT_SECONDS
    while not _is_free(port):
        if time.monotonic() > until:
            raise LabFailure(f"Another program took port {port} while the controller was dead: ss -ltnp names it.")
        time.sleep(0.05)
    return port


def _take(port: int) -> bool:
    """By a name that the kernel gives to one process of this machine at a time; unix(7), abstract."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0weft lab port {port}")
    except OSError:
        name.close()
        return False
    if not _is_free(port):
        name.close()
        return False
    name.detach()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
