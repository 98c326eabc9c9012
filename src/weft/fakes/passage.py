"""A packet on its way through the tables of the fake switch: which flows it meets and what they do with it.

Called by fakes.switch. Written from the OpenFlow 1.3 specification (section 5) and Open vSwitch's ovs-actions(7), not
from the flow builders, so that it can disagree with them. Field names are those of ovs-ofctl.
"""

import copy
from typing import Protocol

import msgspec

from weft.agent.flows.actions import (
    Action,
    CheckLarger,
    Controller,
    Ct,
    DecTtl,
    FlowId,
    Goto,
    InPort,
    Meter,
    Move,
    Output,
    OutputRegister,
    PopVlan,
    PushVlan,
    Resubmit,
    SetBits,
    SetField,
    SetVlan,
)
from weft.agent.flows.fields import FIELDS
from weft.agent.flows.flow import Flow
from weft.agent.switch import PacketIn
from weft.fakes.conntrack import Tracker
from weft.fakes.frames import frame
from weft.fakes.packet import Packet, flow_hash, read, write

IN_PORT_NUMBER = 0xFFFFFFF8
INTO_TABLES = 0xFFFFFFF9
VLAN_PRESENT = 0x1000
TUNNEL = ("tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst")
_ETHERNET, _TAG = 14, 4


class Undefined(Exception):
    """Two flows of one priority match a packet: OpenFlow does not say which one wins, so nobody may rely on it."""


class Sent(msgspec.Struct, frozen=True):
    """A packet that left through a port, with the tunnel fields that it had then."""

    port: int
    packet: Packet
    tunnel: dict[str, int]


class Asked(msgspec.Struct, frozen=True):
    """A packet for the agent, as it was then."""

    service: int
    packet: Packet
    flow: Flow | None
    """That said so."""
    in_port: int
    fields: dict[str, int]
    """Registers and tunnel fields that are not 0."""


def packet_in(asked: Asked) -> PacketIn:
    """As the switch sends it to the agent."""
    flow = asked.flow
    fields = tuple((field, asked.fields[field.name]) for field in FIELDS if field.name in asked.fields)
    cookie, table = (flow.cookie, int(flow.table)) if flow is not None else (0, 0)
    return PacketIn(frame(asked.packet), asked.service, asked.in_port, fields, cookie, table)


class Bridge(Protocol):
    """The switch around a packet."""

    @property
    def tracker(self) -> Tracker: ...

    def flow_of(self, table: int, passage: "Passage") -> Flow | None:
        """The flow that a packet meets in a table, which counts it."""
        ...

    def lets_through(self, meter: int) -> bool: ...


class Passage:
    """One packet on its way: its fields, registers and metadata now."""

    def __init__(self, packet: Packet, in_port: int, tunnel: dict[str, int], bridge: Bridge | None = None) -> None:
        self.packet = packet
        self.in_port = in_port
        self.tunnel = dict.fromkeys(TUNNEL, 0) | tunnel
        self.registers = [0] * 16
        self.tracked = dict.fromkeys(("ct_state", "ct_zone", "ct_mark"), 0)
        self.sent: list[Sent] = []
        self.asked: list[Asked] = []
        self.dead = False
        self._bridge = bridge
        self._flow: Flow | None = None

    @property
    def length(self) -> int:
        """Bytes of the frame now."""
        return self.packet.size + _ETHERNET + (_TAG if self.packet.vlan_tci else 0)

    def walk(self, table: int) -> None:
        """From a table on until it goes nowhere any more."""
        onward: int | None = table
        while onward is not None and not self.dead:
            self._flow = self.bridge.flow_of(onward, self)
            onward = self.carry_out(self._flow.actions) if self._flow is not None else None

    @property
    def bridge(self) -> Bridge:
        if self._bridge is None:
            raise Undefined("this packet is in no switch")
        return self._bridge

    def read(self, name: str) -> int | None:
        if name == "in_port":
            return self.in_port
        if name in self.tunnel:
            return self.tunnel[name]
        if name in self.tracked:
            return self.tracked[name]
        if "reg" in name:
            first, count = _registers(name)
            value = 0
            for number in range(first, first + count):
                value = value << 32 | self.registers[number]
            return value
        return read(self.packet, name)

    def write(self, name: str, value: int) -> None:
        if name == "in_port":
            self.in_port = value
        elif name in self.tunnel:
            self.tunnel[name] = value
        elif "reg" in name:
            first, count = _registers(name)
            for number in reversed(range(first, first + count)):
                self.registers[number] = value & 0xFFFFFFFF
                value >>= 32
        else:
            self.packet = write(self.packet, name, value)

    def matches(self, flow: Flow) -> bool:
        for field, value, mask in flow.match:
            found = self.read(field.name)
            if found is None or found & mask != value:
                return False
        return True

    def meet(self, flows: list[Flow]) -> Flow | None:
        """The flow of highest priority that matches; `flows` is one table. Raises Undefined where two would."""
        found = [flow for flow in flows if self.matches(flow)]
        if not found:
            return None
        top = max(flow.priority for flow in found)
        winners = [flow for flow in found if flow.priority == top]
        if len({flow.actions for flow in winners}) > 1:
            raise Undefined(f"{len(winners)} flows of priority {top} match {self.packet}: {winners}")
        return winners[0]

    def carry_out(self, actions: tuple[Action, ...]) -> int | None:
        """Apply the actions in order; the next table if they go on."""
        for place, action in enumerate(actions, 1):
            if self.dead:
                return None
            match action:
                case Goto(table):
                    return int(table)
                case Output() | InPort() | OutputRegister():
                    self._output(self._port_of(action))
                case Controller(service):
                    self._ask(service)
                case Ct():
                    self._track(action)
                case CheckLarger():
                    self._check_larger(action, actions[place:])
                    return None
                case Meter(number):
                    self.dead = not self.bridge.lets_through(number)
                case Resubmit(table):
                    self._resubmit(table)
                case _:
                    self._change(action)
        return None

    def _change(self, action: Action) -> None:
        match action:
            case SetField(field, value):
                self.write(field.name, value)
            case SetBits(field, value, mask):
                self.write(field.name, (self.read(field.name) or 0) & ~mask | value)
            case Move(source, target):
                self.write(target.name, self.read(source.name) or 0)
            case DecTtl():
                self._lower_ttl()
            case FlowId():
                self.tunnel["tun_id"] = self.tunnel["tun_id"] & ~0xFF | flow_hash(self.packet)
            case PushVlan():
                self._tag(VLAN_PRESENT)
            case SetVlan(vlan):
                self._tag(VLAN_PRESENT | vlan)
            case PopVlan():
                self._tag(0)

    def _tag(self, tci: int) -> None:
        self.packet = msgspec.structs.replace(self.packet, vlan_tci=tci)

    def _track(self, action: Ct) -> None:
        """With a table, a copy goes on there, at once, and what stands behind in the list has the packet as it was."""
        zone = action.zone if isinstance(action.zone, int) else (self.read(action.zone.name) or 0) & 0xFFFF
        state, mark = self.bridge.tracker.look(zone, self.packet)
        if action.commit:
            self.bridge.tracker.commit(zone, self.packet, action.mark)
            mark = mark if action.mark is None else action.mark
        if action.table is not None:
            onward = self._copy()
            onward.tracked = {"ct_state": state, "ct_zone": zone, "ct_mark": mark}
            onward.walk(int(action.table))

    def _check_larger(self, action: CheckLarger, rest: tuple[Action, ...]) -> None:
        """A copy goes on with the rest of the list, and by its goto; the packet stays as it was for whoever
        resubmitted it."""
        onward, register, bit = self._copy(), action.field.name, 1 << action.bit
        onward.write(register, (self.read(register) or 0) & ~bit | (bit if self.length > action.size else 0))
        table = onward.carry_out(rest)
        if table is not None:
            onward.walk(table)

    def _copy(self) -> "Passage":
        """What becomes of it becomes nothing of this one, but for what is sent and asked."""
        onward = copy.copy(self)
        onward.tunnel, onward.registers = dict(self.tunnel), list(self.registers)
        return onward

    def _resubmit(self, table: int) -> None:
        here = self._flow
        self.walk(int(table))
        self._flow = here

    def _ask(self, service: int) -> None:
        fields = {f"reg{number}": value for number, value in enumerate(self.registers) if value}
        fields |= {name: value for name, value in self.tunnel.items() if value}
        self.asked.append(Asked(service, self.packet, self._flow, self.in_port, fields))

    def _port_of(self, action: Output | InPort | OutputRegister) -> int:
        if isinstance(action, Output):
            return action.port
        return IN_PORT_NUMBER if isinstance(action, InPort) else self.read(action.field.name) or 0

    def _output(self, port: int) -> None:
        """OpenFlow 1.3 section 4.5: what came in by a port goes back out of it by IN_PORT only."""
        if port == INTO_TABLES:
            self.walk(0)
            return
        if port == IN_PORT_NUMBER:
            port = self.in_port
        elif port == self.in_port:
            return
        self.sent.append(Sent(port, self.packet, dict(self.tunnel)))

    def _lower_ttl(self) -> None:
        """A TTL that would reach zero goes to the controller instead, which here means nowhere."""
        if self.packet.ttl <= 1:
            self.dead = True
        else:
            self.packet = msgspec.structs.replace(self.packet, ttl=self.packet.ttl - 1)


def _registers(name: str) -> tuple[int, int]:
    """First 32-bit register and how many: regN, xregN (two) and xxregN (four) overlay each other (ovs-fields(7))."""
    width = {"reg": 1, "xreg": 2, "xxreg": 4}[name.rstrip("0123456789")]
    return int(name[name.index("g") + 1 :]) * width, width
