"""An agent's captures on a tap that tells what the test says: their bounds, their ends, what they pass over."""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator

import pytest

from weft.agent import captures
from weft.agent.bindings import Local, Role
from weft.agent.captures import Captures, Seen
from weft.agent.switch import SwitchPort
from weft.model.records import PortBinding
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid
from weft.wire.messages import Capture, Captured, CaptureEnd

ONE = "11111111-1111-1111-1111-111111111111"
BINDING = PortBinding(
    InstanceId(ONE), "nic1", Rdid(1), Vsid(6001), Mac(0x1DD8B71C00), (), PackedIp(bytes((192, 168, 1, 10)))
)
FRAME = bytes(12) + b"\x08\x06" + bytes(40)


class FakeTap:
    """Packets that wait; `gone` makes reading fail as of a device that was taken away."""

    def __init__(self) -> None:
        self.packets: deque[bytes] = deque()
        self.gone = self.closed = False
        self.too_many = 0

    def read(self) -> Seen | None:
        if self.gone:
            raise OSError(100, "Network is down")
        return Seen(1, 2, self.packets[0], len(self.packets.popleft())) if self.packets else None

    def lost(self) -> int:
        lost, self.too_many = self.too_many, 0
        return lost

    def close(self) -> None:
        self.closed = True


class Stage:
    """An agent with one port, its tap, and what it said."""

    def __init__(self) -> None:
        self.said: list[Captured] = []
        self.waiting = 0
        self.tap = FakeTap()
        self.locals = {ONE: Local(BINDING, SwitchPort("vnet0", 3), Role.HERE)}
        self.captures = Captures(self.said.append, lambda: self.waiting, lambda: self.locals, self._open)

    def _open(self, device: str, snap: int) -> FakeTap:
        if device != "vnet0":
            raise OSError(f"{device}: No such device")
        return self.tap

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.said) < count:
                await asyncio.sleep(0.005)

    def frames(self) -> list[bytes]:
        found, content = [], b"".join(piece.content for piece in self.said)
        while content:
            length = struct.unpack_from("<I", content, 8)[0]
            found.append(content[16 : 16 + length])
            content = content[16 + length :]
        return found


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await stage.captures.close()


def asked(packets: int = 0, seconds: float = 30.0, words: str = "", number: int = 1) -> Capture:
    return Capture(number, ONE, seconds, packets, 65535, words)


async def test_it_ends_after_so_many_packets_of_those_that_are_wanted(stage: Stage) -> None:
    stage.tap.packets += [FRAME, bytes(60), FRAME, FRAME]
    stage.captures.hear(asked(packets=2, words="arp"))
    await stage.until(3)
    assert stage.said[0] == Captured(1)
    assert stage.said[-1] == Captured(1, ended=True)
    assert stage.frames() == [FRAME, FRAME] and stage.tap.closed


async def test_it_ends_in_time_and_when_it_is_asked_to(stage: Stage) -> None:
    stage.captures.hear(asked(seconds=0.01))
    await stage.until(2)
    assert stage.said[-1].ended and stage.tap.closed
    stage.captures.hear(asked(number=2))
    await stage.until(3)
    stage.captures.hear(CaptureEnd(2))
    await stage.captures.close()
    assert stage.tap.closed and not stage.captures._running


@pytest.mark.parametrize("case", ["no interface", "no port", "closed", "no device", "hyperv"])
async def test_why_it_does_not_begin(stage: Stage, case: str) -> None:
    said = {
        "no interface": "no port",
        "no port": "no port",
        "closed": "copied",
        "no device": "vnet9: No such",
        "hyperv": "pktmon",
    }
    if case == "no interface":
        stage.locals = {}
    elif case == "no device":
        stage.locals[ONE] = Local(BINDING, SwitchPort("vnet9", 3), Role.HERE)
    elif case == "hyperv":
        stage.captures = Captures(stage.said.append, lambda: 0, lambda: stage.locals, None)
    else:
        stage.locals[ONE] = Local(BINDING, None, Role.HERE, "copied" if case == "closed" else "")
    stage.captures.hear(asked())
    await stage.until(1)
    assert stage.said[0].ended and said[case] in stage.said[0].failure


async def test_a_device_that_goes_ends_it_with_a_word_in_the_file(stage: Stage) -> None:
    stage.captures.hear(asked())
    await stage.until(1)
    stage.tap.gone = True
    await stage.until(3)
    assert stage.frames()[-1].endswith(b"weft: the capture ended early: Network is down")
    assert stage.said[-1].ended and stage.tap.closed


async def test_what_does_not_fit_is_counted_and_told_where_it_is_missing(stage: Stage) -> None:
    stage.waiting = captures.MOST_WAITING + 1
    stage.tap.packets += [FRAME] * 3
    stage.captures.hear(asked())
    async with asyncio.timeout(30):
        while stage.tap.packets:
            await asyncio.sleep(0.005)
    assert stage.frames() == []
    stage.waiting, stage.tap.too_many = 0, 4
    await stage.until(2)
    assert stage.frames() == [bytes(12) + b"\x88\xb5weft: 7 packets passed over before this"]


async def test_only_so_many_at_once(stage: Stage) -> None:
    for number in range(captures.MOST_AT_ONCE + 1):
        stage.captures.hear(asked(number=number))
    await stage.until(captures.MOST_AT_ONCE + 1)
    assert [piece.number for piece in stage.said if piece.ended] == [captures.MOST_AT_ONCE]
