"""The rules of OpenFlow as a switch keeps them: which flows it accepts, which of them a packet meets, what they do.

Called by fakes.switch. Written from the OpenFlow 1.3 specification (sections 5 and 7.2.3) and Open vSwitch's
ovs-fields(7), not from the flow builders, so that it can disagree with them. Field names are those of ovs-ofctl.
"""

import msgspec

from weft.agent.flow import Action, DecTtl, Flow, FlowId, Goto, InPort, Move, Output, SetField
from weft.fakes.packet import Packet, flow_hash, read, write

TABLES = 254
IN_PORT_NUMBER = 0xFFFFFFF8

Requirement = tuple[str, frozenset[int]]


def _needs(name: str, *values: int) -> Requirement:
    return name, frozenset(values)


_V4 = (_needs("eth_type", 0x0800),)
_V6 = (_needs("eth_type", 0x86DD),)
_IP = (_needs("eth_type", 0x0800, 0x86DD),)
_ARP = (_needs("eth_type", 0x0806, 0x8035),)
_ICMPV6 = (*_V6, _needs("ip_proto", 58))
_ND = (*_ICMPV6, _needs("icmpv6_type", 135, 136))

PREREQUISITES: dict[str, tuple[Requirement, ...]] = {
    **dict.fromkeys(("ip_src", "ip_dst"), _V4),
    **dict.fromkeys(("ipv6_src", "ipv6_dst"), _V6),
    **dict.fromkeys(("ip_proto", "nw_ttl", "ip_frag"), _IP),
    **dict.fromkeys(("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"), _ARP),
    **dict.fromkeys(("tcp_src", "tcp_dst"), (*_IP, _needs("ip_proto", 6))),
    **dict.fromkeys(("udp_src", "udp_dst"), (*_IP, _needs("ip_proto", 17))),
    **dict.fromkeys(("icmp_type", "icmp_code"), (*_V4, _needs("ip_proto", 1))),
    **dict.fromkeys(("icmpv6_type", "icmpv6_code"), _ICMPV6),
    **dict.fromkeys(("nd_target", "nd_reserved", "nd_options_type"), _ND),
    "nd_sll": (*_ICMPV6, _needs("icmpv6_type", 135)),
    "nd_tll": (*_ICMPV6, _needs("icmpv6_type", 136)),
}

EXACT_ONLY = frozenset(
    "in_port eth_type ip_proto nw_ttl arp_op icmp_type icmp_code icmpv6_type icmpv6_code nd_options_type".split()
)
READ_ONLY = frozenset(("eth_type", "ip_proto", "ip_frag"))
TUNNEL = ("tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst")


class Refused(Exception):
    """The switch does not take this flow; the message says why, as Open vSwitch would."""


class Undefined(Exception):
    """Two flows of one priority match a packet: OpenFlow does not say which one wins, so nobody may rely on it."""


def check(flow: Flow) -> None:
    """Raises Refused for a flow that a switch would not take."""
    given: dict[str, int] = {}
    for field, value, mask in flow.match:
        if field.name in given:
            raise Refused(f"{field.name} stands twice in the match")
        if value & ~mask or value >> field.bits or mask >> field.bits:
            raise Refused(f"{field.name}: the value has bits that its mask or its width does not cover")
        if field.name in EXACT_ONLY and mask != field.all_ones:
            raise Refused(f"{field.name} takes no mask")
        _check_prerequisites(field.name, given)
        given[field.name] = value if mask == field.all_ones else -1
    for place, action in enumerate(flow.actions):
        _check_action(flow, action, given, last=place == len(flow.actions) - 1)


def _check_prerequisites(name: str, given: dict[str, int]) -> None:
    for needed, allowed in PREREQUISITES.get(name, ()):
        if given.get(needed) not in allowed:
            raise Refused(f"{name} lacks its prerequisite {needed}")


def _check_action(flow: Flow, action: Action, given: dict[str, int], *, last: bool) -> None:
    match action:
        case SetField(field, value):
            if value >> field.bits:
                raise Refused(f"set_field: the value is wider than {field.name}")
            _check_writable(field.name, given)
        case Move(source, target):
            if source.bits != target.bits:
                raise Refused(f"move: {source.name} and {target.name} differ in width")
            _check_prerequisites(source.name, given)
            _check_writable(target.name, given)
        case DecTtl():
            _check_prerequisites("nw_ttl", given)
        case Goto(table):
            if not flow.table < table <= TABLES:
                raise Refused(f"goto_table {int(table)} does not lead onward from table {int(flow.table)}")
            if not last:
                raise Refused("goto_table is not the last action")
        case Output() | InPort() | FlowId():
            pass


def _check_writable(name: str, given: dict[str, int]) -> None:
    if name in READ_ONLY:
        raise Refused(f"{name} cannot be written")
    _check_prerequisites(name, given)


class Sent(msgspec.Struct, frozen=True):
    """A packet that left through a port, with the tunnel fields that it had then."""

    port: int
    packet: Packet
    tunnel: dict[str, int]


class Passage:
    """One packet on its way through the tables: its fields, registers and metadata now."""

    def __init__(self, packet: Packet, in_port: int, tunnel: dict[str, int]) -> None:
        self.packet = packet
        self.in_port = in_port
        self.tunnel = dict.fromkeys(TUNNEL, 0) | tunnel
        self.registers = [0] * 16
        self.sent: list[Sent] = []
        self.dead = False

    def read(self, name: str) -> int | None:
        if name == "in_port":
            return self.in_port
        if name in self.tunnel:
            return self.tunnel[name]
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
        for action in actions:
            if self.dead:
                return None
            match action:
                case Output(port):
                    self._output(port)
                case InPort():
                    self._output(IN_PORT_NUMBER)
                case SetField(field, value):
                    self.write(field.name, value)
                case Move(source, target):
                    self.write(target.name, self.read(source.name) or 0)
                case DecTtl():
                    self._lower_ttl()
                case FlowId():
                    self.tunnel["tun_id"] = self.tunnel["tun_id"] & ~0xFF | flow_hash(self.packet)
                case Goto(table):
                    return int(table)
        return None

    def _output(self, port: int) -> None:
        """OpenFlow 1.3 section 4.5: what came in by a port goes back out of it by IN_PORT only."""
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
