"""Runs the agent of a host: what `weft agent` does, on its Open vSwitch or, beside the controller, for a Hyper-V host.

Called by __main__, which brings the hypervisor driver (drivers live above the agent) and the process's random id.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from weft.agent.adapters import adapters
from weft.agent.address_probe import listen, other_holder
from weft.agent.agent import Agent, Patience
from weft.agent.edge.echo import is_there
from weft.agent.edge.namespace import NamespaceEdge, Place
from weft.agent.hook_socket import hook_socket
from weft.agent.hypervisors import Hypervisor
from weft.agent.link import Identity
from weft.agent.memory import Memory
from weft.agent.outside import Outside
from weft.agent.ovs.no_encryption import NoEncryption, kernel_has_esp
from weft.agent.ovs.plane import OvsPlane
from weft.agent.ovs.switch import OvsSwitch
from weft.agent.plane import Plane
from weft.agent.session import stay_connected
from weft.wire.place import check_controller

REFUSED_EXIT_CODE = 2


class AgentOptions(msgspec.Struct, frozen=True):
    """What `weft agent` is started with."""

    controller: str
    """http://HOST:PORT, https://HOST:PORT or unix:PATH."""
    server: str
    """Resource id of this host's server."""
    rundir: Path
    """Open vSwitch's run folder: db.sock, BRIDGE.mgmt, vswitchd.ctl or ovs-vswitchd.PID.ctl."""
    state: Path
    """Where the agent keeps its last policy."""
    bridge: str = "br-int"
    hypervisor: str = ""
    """Kind of driver: lab, libvirt, hyperv; empty for none."""
    start_grace: float = 20.0
    """Seconds for which machines remembered from disk wait for the controller's word before they are started."""
    outer_bridge: str = "br-phy"
    """With the physical adapter: where edges have their legs outside."""
    edges: str = "weft-edge-"
    """Begins the names of the namespaces of edges, where this host is a gateway."""
    provider_interface: str = ""
    """Where provider addresses are put if none of the host's says it; empty: nowhere."""


def collect_seldom() -> None:
    """Flows and records have no cycles: looking for some in all of them took a third of a full load of 10 k flows."""
    gc.set_threshold(100_000, 50, 1000)


def allow_files() -> None:
    """A gateway listens to each of its edges: as many files as the system lets us have, not the 1 024 of old."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def run(
    options: AgentOptions, agent_id: str, now: Callable[[], float], hypervisor: Hypervisor | None = None
) -> None:
    """On this host's Open vSwitch. Until SIGTERM, SIGINT or cancellation; the flows stay. Raises RefusedByController if
    the controller wants another agent (wrong protocol): the exit code is then REFUSED_EXIT_CODE, and the data plane
    stays as it is. Raises Invalid for a controller that is no address, before anything is touched."""
    check_controller(options.controller)
    database = options.rundir.absolute() / "db.sock"
    bridges = options.bridge, options.outer_bridge
    place = Place(database, options.server, options.edges, *bridges, options.state.absolute() / "edges")
    edges = NamespaceEdge(place, now)
    allow_files()
    switch = OvsSwitch(options.rundir, options.bridge)
    await switch.open()
    try:
        encryption = NoEncryption(switch.datapath, kernel_has_esp(Path("/"), os.uname().release))
        outside = Outside(
            is_there,
            other_holder,
            lambda places: adapters(places, switch.ports_beside),
            listen,
            encryption,
            options.provider_interface,
        )
        plane = OvsPlane(
            switch,
            edge=edges,
            probes_as=zlib.crc32(agent_id.encode()),
            outside=outside,
        )
        await work(options, agent_id, plane, hypervisor)
    finally:
        edges.close()
        await switch.close()


async def work(options: AgentOptions, agent_id: str, plane: Plane, hypervisor: Hypervisor | None) -> None:
    """As run(), on any plane."""
    collect_seldom()
    identity = Identity(options.server, agent_id, options.hypervisor)
    agent = Agent(identity, plane, hypervisor, Memory(options.state), Patience(options.start_grace))
    async with contextlib.AsyncExitStack() as stack:
        if options.hypervisor == "libvirt":
            await stack.enter_async_context(hook_socket(options.state, agent.may_start))
        await _run(agent, options.controller)


async def _run(agent: Agent, controller: str) -> None:
    working = asyncio.create_task(agent.run(), name="agent")
    connecting = asyncio.create_task(stay_connected(agent, controller), name="session")
    tasks = {working, connecting}
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
