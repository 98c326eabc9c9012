"""One OpenFlow connection to a bridge, over its .mgmt unix socket, kept open.

Called by ovs/switch.py. `change` is all or nothing and returns when the switch has confirmed; `dump` reads every flow.
Calls are not made concurrently, but for `send`, which waits for nothing. Any failure of the connection raises
SwitchUnavailable and closes it: open another. Packets for the agent come by `on_packet` and never among the answers.
"""

import asyncio
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from weft.agent.flows.flow import Flow, FlowKey, flow_text
from weft.agent.openflow import messages as openflow
from weft.agent.openflow import meters as openflow_meters
from weft.agent.openflow import packets as openflow_packets
from weft.agent.openflow.messages import Counted, SwitchError
from weft.agent.switch import PacketIn, PacketOut, SwitchMeter, SwitchUnavailable

WAIT_SECONDS = 60.0
"""How long the switch may take for a bundle; 500 k flows in one take about 6."""
ANSWER_SECONDS = 5.0
"""How long it may take for any other answer."""
_WRITE_BYTES = 1 << 16
"""The switch takes in what was sent while the next flows are encoded."""
_UNSENT_BYTES = 1 << 20
"""A frame is thrown away while so much waits to be written."""
_FRAME_XIDS = 1 << 31
"""From here on the xids of frames: what the switch has against one concerns nobody who waits."""
_MOST_TEXT = 500
"""Of a flow in words."""
TOO_LONG = "the flow has more actions than an OpenFlow message can hold"
_AWAITED = {openflow.ERROR, openflow.EXPERIMENTER, openflow.MULTIPART_REPLY, openflow.BARRIER_REPLY}


T = TypeVar("T")


class FlowsRefused(Exception):
    """The switch refused a change; none of it was done. `flow` is what it refused, where that is known."""

    def __init__(self, refusal: SwitchError | str, flow: Flow | None) -> None:
        super().__init__(f"{refusal}: {flow_text(flow)[:_MOST_TEXT]}" if flow else str(refusal))
        self.flow = flow


class Heard(NamedTuple):
    """Whom to tell what nobody asked for; called from the event loop."""

    closed: Callable[[], None] = lambda: None
    """Once, when the switch has hung up."""
    packet: Callable[[PacketIn], None] = lambda packet: None


class OpenflowConnection:
    """Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard) -> None:
        self._writer = writer
        self._xids = itertools.count(1)
        self._bundles = itertools.count(1)
        self._received: asyncio.Queue[tuple[int, int, bytes] | str] = asyncio.Queue()
        """Messages as (type, xid, body); a text, why the connection ended, is the last."""
        self.lost = 0
        """Frames that were thrown away unsent, or that the switch refused."""
        self._hearing = asyncio.create_task(self._hear(reader, heard), name="openflow")

    @classmethod
    async def connect(cls, path: str, heard: Heard | None = None) -> "OpenflowConnection":
        """Raises SwitchUnavailable."""
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise SwitchUnavailable(f"{path}: {error.strerror or error}") from error
        connection = cls(reader, writer, heard or Heard())
        try:
            writer.write(openflow.message(openflow.HELLO, 0))
            writer.write(openflow_packets.want_packets((next(connection._xids), next(connection._xids))))
            await connection._barrier([])
        except SwitchUnavailable:
            connection.close()
            raise
        return connection

    @property
    def closed(self) -> bool:
        return self._hearing.done()

    def close(self, reason: str = "closed") -> None:
        """Whoever waits for an answer gets SwitchUnavailable with the reason."""
        self._received.put_nowait(reason)
        self._hearing.cancel()
        self._writer.close()

    async def change(self, puts: Sequence[Flow], removes: Sequence[FlowKey]) -> None:
        """Removes first, then puts: a flow in both stays. Raises FlowsRefused, SwitchUnavailable."""
        for flow in puts:
            if openflow.is_too_long(flow):
                raise FlowsRefused(TOO_LONG, flow)
        if len(puts) + len(removes) == 1:
            xid = next(self._xids)
            single = openflow.put_flow(puts[0], xid) if puts else openflow.remove_flow(removes[0], xid)
            self._writer.write(single)
            errors = await self._barrier([])
            if errors:
                raise FlowsRefused(errors[0], puts[0] if puts else None)
            return
        await self._bundle(puts, removes)

    def send(self, packets: Iterable[PacketOut]) -> None:
        """Frames from the agent, on their way when this returns."""
        for packet in packets:
            if self.closed or self._writer.transport.get_write_buffer_size() > _UNSENT_BYTES:
                self.lost += 1
            else:
                xid = _FRAME_XIDS | next(self._xids)
                self._writer.write(openflow_packets.packet_out(packet, xid))

    def flush_zones(self, zones: Iterable[int]) -> None:
        """Forget their connections; done before whatever is asked afterwards."""
        for zone in zones:
            self._writer.write(openflow_packets.flush_zone(zone, next(self._xids)))

    async def set_meters(self, meters: Sequence[SwitchMeter]) -> dict[int, SwitchError]:
        """Add them, or change those that are there; what the switch refused, by id. Raises SwitchUnavailable."""
        refused = await self._meter_mods({one.id: openflow_meters.modify(one, next(self._xids)) for one in meters})
        unknown = {number for number, error in refused.items() if error.reason == openflow_meters.UNKNOWN}
        fresh = {one.id: openflow_meters.add(one, next(self._xids)) for one in meters if one.id in unknown}
        return {number: error for number, error in refused.items() if number not in unknown} | (
            await self._meter_mods(fresh) if fresh else {}
        )

    async def remove_meters(self, numbers: Iterable[int]) -> None:
        """Raises SwitchUnavailable."""
        await self._meter_mods({number: openflow_meters.delete(number, next(self._xids)) for number in numbers})

    async def _meter_mods(self, mods: dict[int, bytes]) -> dict[int, SwitchError]:
        number_of = {int.from_bytes(mod[4:8]): number for number, mod in mods.items()}
        await self._write(b"".join(mods.values()))
        return {number_of[error.xid]: error for error in await self._barrier([]) if error.xid in number_of}

    async def meters(self) -> list[SwitchMeter]:
        """All that the bridge has. Raises SwitchUnavailable."""
        return await self._read(openflow_meters.config_request, openflow_meters.config_reply)

    async def dump(self) -> list[Counted]:
        """Every flow of every table with its packet count. Raises SwitchUnavailable."""
        return await self._read(openflow.dump_request, openflow.dump_reply)

    async def ports(self) -> dict[str, int]:
        """Port numbers by name. Raises SwitchUnavailable."""
        return dict(await self._read(openflow.ports_request, openflow.ports_reply))

    async def _read(self, request: Callable[[int], bytes], reply: Callable[[bytes], tuple[list[T], bool]]) -> list[T]:
        """All parts of the answer to a multipart request."""
        xid = next(self._xids)
        await self._write(request(xid))
        found: list[T] = []
        while True:
            kind, got, body = await self._receive()
            if kind == openflow.MULTIPART_REPLY and got == xid:
                some, more = reply(body)
                found += some
                if not more:
                    return found
            elif kind == openflow.ERROR and got == xid:
                raise SwitchUnavailable(str(openflow.error(body, got)))

    async def _bundle(self, puts: Iterable[Flow], removes: Iterable[FlowKey]) -> None:
        bundle = next(self._bundles)
        flows: dict[int, Flow] = {}
        await self._control(openflow.OPEN, bundle, flows)
        waiting: list[bytes] = []
        size = 0
        for key in removes:
            xid = next(self._xids)
            waiting.append(openflow.bundle_add(openflow.remove_flow(key, xid), bundle, xid))
        for flow in puts:
            xid = next(self._xids)
            flows[xid] = flow
            waiting.append(openflow.bundle_add(openflow.put_flow(flow, xid), bundle, xid))
            size += len(waiting[-1])
            if size > _WRITE_BYTES:
                await self._write(b"".join(waiting))
                waiting, size = [], 0
        await self._write(b"".join(waiting))
        await self._control(openflow.COMMIT, bundle, flows)

    async def _control(self, step: int, bundle: int, flows: dict[int, Flow]) -> None:
        await self._write(openflow.bundle_control(step, bundle, next(self._xids)))
        refusal: SwitchError | None = None
        while True:
            kind, xid, body = await self._receive(WAIT_SECONDS)
            if kind == openflow.EXPERIMENTER and openflow.bundle_reply(body) == (bundle, step):
                if refusal is None:
                    return
                break
            if kind == openflow.ERROR:
                # read on to the commit's own answer: an error left unread would be taken for one of the next bundle's
                refusal = refusal or openflow.error(body, xid)
                if xid not in flows:
                    break
        raise FlowsRefused(refusal, flows.get(refusal.xid))

    async def _barrier(self, errors: list[SwitchError]) -> list[SwitchError]:
        xid = next(self._xids)
        await self._write(openflow.message(openflow.BARRIER_REQUEST, xid))
        while True:
            kind, got, body = await self._receive()
            if kind == openflow.BARRIER_REPLY and got == xid:
                return errors
            if kind == openflow.ERROR:
                errors.append(openflow.error(body, got))

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise SwitchUnavailable(f"the OpenFlow connection broke: {error}") from error

    async def _receive(self, patience: float = ANSWER_SECONDS) -> tuple[int, int, bytes]:
        """Next message as (type, xid, body)."""
        try:
            async with asyncio.timeout(patience):
                message = await self._received.get()
        except TimeoutError as error:
            self.close()
            raise SwitchUnavailable("no answer over OpenFlow") from error
        if isinstance(message, str):
            self._received.put_nowait(message)
            raise SwitchUnavailable(f"the OpenFlow connection broke: {message}")
        return message

    async def _hear(self, reader: asyncio.StreamReader, heard: Heard) -> None:
        """Read until the end, also while nobody asks anything: the switch wants its echo requests answered."""
        try:
            while True:
                _, kind, length, xid = struct.unpack("!BBHI", await reader.readexactly(8))
                body = await reader.readexactly(length - 8)
                if kind == openflow.ECHO_REQUEST:
                    self._writer.write(openflow.message(openflow.ECHO_REPLY, xid, body))
                elif kind == openflow.EXPERIMENTER and openflow_packets.is_packet_in(body):
                    if (packet := openflow_packets.packet_in(body)) is not None:
                        heard.packet(packet)
                elif kind == openflow.ERROR and xid >= _FRAME_XIDS:
                    self.lost += 1
                elif kind in _AWAITED:
                    self._received.put_nowait((kind, xid, body))
        except (OSError, asyncio.IncompleteReadError) as error:
            self._received.put_nowait(str(error))
            heard.closed()
