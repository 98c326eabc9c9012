"""Connection tracking as the userspace datapath of Open vSwitch 3.1 does it, but for time: nothing expires.

Called by the fake switch. The contract suite sends the same packets through both and compares what they say:
* a connection exists once it is committed; until the other side has answered, its own packets stay `new`;
* TCP is picked up in the middle: any segment but SYN with ACK may begin, and one without SYN is established when it
  comes again. Sequence numbers are not looked at;
* an ICMP error is `related` to the connection whose packet it quotes; an ICMP answer that nobody asked for is invalid;
* fragments smaller than 1200 bytes (IPv4) or 1280 (IPv6) are invalid. Larger ones are put together; here each is
  taken for itself, and a later one for what the first before it was.
"""

from weft.fakes.frames import of_ip
from weft.fakes.packet import ACK, FIN, ICMP, ICMPV6, IPV4, IPV6, LATER, RST, SYN, TCP, UDP, Packet

NEW, ESTABLISHED, RELATED, REPLY, INVALID, TRACKED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

Ends = tuple[int, int, int, int, int]
"""Protocol, source and its port, destination and its port. ICMP has its type for the one and that of the answer for the
other."""

_ANSWERS = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129}}
_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
_LEAST_FRAGMENT = {IPV4: 1200, IPV6: 1280}


class Connection:
    """One, committed; `ends` as its first packet had them."""

    def __init__(self, ends: Ends, *, picked_up: bool) -> None:
        self.ends = ends
        self.mark = 0
        self.answered = picked_up
        self.ended: set[bool] = set()
        """Sides that have said FIN: True is the one that answers."""


class Tracker:
    """The connections of one switch, by zone."""

    def __init__(self) -> None:
        self._zones: dict[int, dict[Ends, Connection]] = {}
        self._fragmented: dict[tuple[int, int, int, int], tuple[int, int]] = {}

    def look(self, zone: int, packet: Packet) -> tuple[int, int]:
        """ct_state and ct_mark of a packet; the connection takes note of it."""
        if packet.fragment:
            return self._fragment(zone, packet)
        return self._whole(zone, packet)

    def commit(self, zone: int, packet: Packet, mark: int | None) -> None:
        """Make the packet's connection, or keep it; give it the mark."""
        found = self._find(zone, packet)
        if found is None:
            ends = _ends(packet)
            if ends is None or not _may_begin(packet):
                return
            picked_up = packet.ip_proto == TCP and not packet.tcp_flags & SYN
            found = self._zones.setdefault(zone, {})[ends] = Connection(ends, picked_up=picked_up)
        if mark is not None:
            found.mark = mark

    def flush(self, zone: int) -> None:
        self._zones.pop(zone, None)

    def clear(self) -> None:
        self._zones.clear()

    def count(self, zone: int) -> int:
        """Connections in a zone."""
        return len(self._zones.get(zone, ()))

    def _whole(self, zone: int, packet: Packet) -> tuple[int, int]:
        if packet.icmp_type in _ERRORS.get(packet.ip_proto, ()):
            return self._error(zone, packet)
        found = self._find(zone, packet)
        if found is None:
            return TRACKED | (NEW if _may_begin(packet) else INVALID), 0
        replies = found.ends != _ends(packet)
        if packet.ip_proto == TCP:
            if packet.tcp_flags & (SYN | ACK) == SYN and found.ended == {False, True}:
                del self._zones[zone][found.ends]
                return TRACKED | NEW, 0
            if packet.tcp_flags & FIN:
                found.ended.add(replies)
            if packet.tcp_flags & RST:
                found.ended = {False, True}
        found.answered = found.answered or replies
        state = ESTABLISHED | (REPLY if replies else 0) if found.answered else NEW
        return TRACKED | state, found.mark

    def _find(self, zone: int, packet: Packet) -> Connection | None:
        ends = _ends(packet)
        if ends is None:
            return None
        known = self._zones.get(zone, {})
        proto, source, source_port, target, target_port = ends
        return known.get(ends) or known.get((proto, target, target_port, source, source_port))

    def _error(self, zone: int, packet: Packet) -> tuple[int, int]:
        try:
            quoted = of_ip(packet.payload.encode("latin-1"), Packet(0, 0, packet.eth_type), whole=False)
        except IndexError:
            return TRACKED | INVALID, 0
        found = self._find(zone, quoted)
        if found is None:
            return TRACKED | INVALID, 0
        # who quotes a packet of the one who began is the other side, or stands on the way to it
        return TRACKED | RELATED | (REPLY if found.ends == _ends(quoted) else 0), found.mark

    def _fragment(self, zone: int, packet: Packet) -> tuple[int, int]:
        if packet.size < _LEAST_FRAGMENT[packet.eth_type]:
            return TRACKED | INVALID, 0
        pair = (zone, packet.ip_src, packet.ip_dst, packet.ip_proto)
        if packet.fragment != LATER:
            self._fragmented[pair] = self._whole(zone, packet)
        return self._fragmented.get(pair, (TRACKED | INVALID, 0))


def _may_begin(packet: Packet) -> bool:
    if packet.ip_proto == TCP:
        flags = packet.tcp_flags
        return bool(flags) and flags & (SYN | ACK) != SYN | ACK and flags & (SYN | FIN) != SYN | FIN
    if packet.ip_proto in (ICMP, ICMPV6):
        return packet.icmp_type in _ANSWERS[packet.ip_proto]
    return True


def _ends(packet: Packet) -> Ends | None:
    """None of an ICMP message that neither asks nor answers."""
    proto, source, target = packet.ip_proto, packet.ip_src, packet.ip_dst
    if proto in (ICMP, ICMPV6):
        kind = packet.icmp_type
        for asked, answer in _ANSWERS[proto].items():
            if kind in (asked, answer):
                return (proto, source, kind, target, answer if kind == asked else asked)
        return None
    if proto in (TCP, UDP):
        return (proto, source, packet.src_port, target, packet.dst_port)
    return (proto, source, 0, target, 0)
