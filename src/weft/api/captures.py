"""GET /weft/v1/capture: the packets of an interface as a pcap file that goes on. Called by weft.api.routes."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from weft.api.call import Answer, Call
from weft.control.controller import Controller
from weft.core import pcap
from weft.core.index import servers_of
from weft.core.packet_filter import read_filter
from weft.core.policy_places import RUNNING
from weft.core.trace_ends import no_interface
from weft.model.errors import Conflict, Invalid, NotFound
from weft.model.kinds import NETWORK_INTERFACES
from weft.wire.messages import Capture

CONTENT_TYPE = b"application/vnd.tcpdump.pcap"
DEFAULT_S, LONGEST_S = 60.0, 3600.0
MOST_PACKETS = 10_000_000
SNAP, LEAST_SNAP = 65_535, 64
_UNCACHED = ((b"cache-control", b"no-store"),)


async def capture(controller: Controller, call: Call) -> Answer:
    """Raises Invalid, NotFound, NotReady (ServerNotReady), Conflict where the host cannot."""
    call.only("interface", "server", "seconds", "packets", "snap", "filter")
    name = call.query.get("interface", "").rstrip("/").rpartition("/")[2]
    if not name:
        raise Invalid("?interface=NAME says whose packets.", target="interface")
    interface = controller.state.get(NETWORK_INTERFACES.name, name)
    if interface is None:
        raise NotFound(no_interface(controller.state, name), target=f"/networkInterfaces/{name}")
    text = call.query.get("filter", "")
    read_filter(text)
    asked = Capture(
        number=0,
        instance_id=interface.instance_id.lower(),
        seconds=call.number("seconds", DEFAULT_S, LONGEST_S, 0.1),
        packets=int(call.number("packets", 0, MOST_PACKETS)),
        snap=int(call.number("snap", SNAP, SNAP, LEAST_SNAP)),
        filter=text,
    )
    pieces = await controller.captures.begin(_server(controller, call, interface.resource_id), asked)
    return Answer(
        200, headers=_UNCACHED, content_type=CONTENT_TYPE, stream=_noted(pieces, _beginning(controller, name))
    )


async def _noted(pieces: AsyncGenerator[bytes, None], note: bytes) -> AsyncIterator[bytes]:
    """With a note behind the file's header."""
    async with aclosing(pieces):
        yield await anext(pieces) + note
        async for piece in pieces:
            yield piece


def _beginning(controller: Controller, name: str) -> bytes:
    """Why nothing may come by; empty where something may."""
    machine = controller.state.machine_of(name)
    if machine is None or machine.properties.power_state == RUNNING:
        return b""
    fraction, seconds = math.modf(controller.now().wall)
    text = f"weft: machine {machine.resource_id} is {machine.properties.power_state}: packets come by once it runs"
    return pcap.note(int(seconds), int(fraction * 1e6), text)


def _server(controller: Controller, call: Call, name: str) -> str:
    """Where its machine is; with ?server=, the one of a move's two ends that is meant."""
    machine = controller.state.machine_of(name)
    servers = tuple(servers_of(machine)) if machine is not None else ()
    wanted = call.query.get("server", "").rpartition("/")[2].lower()
    if not servers or (wanted and wanted not in servers):
        where = f" on '{wanted}'" if wanted and servers else ""
        raise Conflict(f"/networkInterfaces/{name} has no machine{where}: it has no packets there.", target="interface")
    return wanted or servers[0]
