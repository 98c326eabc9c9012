"""What the fake switches do with the packet of a question, and whether trace said so."""

import re
from typing import NamedTuple

from tests.property.agreement import edges
from weft.agent.flows.fields import COOKIE_DROPS, COOKIE_DROPS_MASK, DropReason
from weft.core.trace import trace
from weft.fakes import packet as p
from weft.model.values import PackedIp, ip_text, link_local_of, pack_ip

NOBODY = 0x02FFFFFFFFFF
"""Where a packet goes whose next hop did not answer: so it meets what else would stop it."""
NOT_SENT = frozenset(("not sent",))
"""Nothing is counted: the guest cannot send it, or does not run."""
UNCOUNTED = frozenset(("nothing",))
"""OpenFlow sends nothing out of the port that it came in by, and no flow says so."""
ON_LINK = frozenset(("arp_unknown", "nd_unknown"))
"""It asks for the MAC of its neighbour, or of its gateway, and nobody answers."""

WHY = [
    (r"^its own address", NOT_SENT),
    (r"has no IPv[46] address to send from$", NOT_SENT),
    (r"^\S+ (belongs to no machine|has no address|has no MAC)", NOT_SENT),
    (r"^machine \S+ (is (Off|Saved)|has no server)$", NOT_SENT),
    (r"^no neighbour: ", ON_LINK | {"no_route"}),
    (r"^no lookup record", ON_LINK | {"no_record"}),
    (r"^no gateway: \S+ is outside", frozenset(("no_route", "no_gateway"))),
    (r"^no gateway: none of the GatewayPools ", ON_LINK | {"no_route", "no_gateway"}),
    (r"^no gateway: \S+ has no address of the family ", frozenset(("no_route", "no_gateway"))),
    (r"^\S+ is the sender itself", UNCOUNTED | {"access_denied"}),
    (r"^no rewriting: the packet would not say", ON_LINK | {"unknown_mac", "no_rewrite"}),
    (r"^no rewriting: no provider address stands for ", frozenset(("no_rewrite",))),
    (r"^server \S+ has no provider address", frozenset(("unknown_mac", "no_record"))),
    (r"^access denied: ", frozenset(("access_denied",))),
    (r"^not encrypted: ", frozenset(("not_encrypted",))),
    (r"^blocked route: ", frozenset(("blocked_route",))),
    (r"^no route: \S+ of \S+ lies in no subnet", frozenset(("no_route", "no_record"))),
    (r"^no route: \S+ lies in \S+ of ", frozenset(("no_route",))),
    (r"^access denied: .* out of ", ON_LINK | {"access_denied"}),
    (r"^access denied: .* into ", frozenset(("access_denied",))),
    (r"answers ping only", frozenset(("for_router",))),
]
"""What trace says, and the names under which switches count what became of the packet."""


_FLOODED = frozenset(("wrong_vlan", "no_such_port", "no_rewrite"))
"""A physical switch floods what is for a MAC that it has not learnt: other hosts count what reaches them so."""
_AT_EDGE = re.compile(
    r"(?:left by|reached)?(?:^| )the gateway on (\S+?),? (through|has no (?:route to|public address of)|whose own) "
)
_PORT = re.compile(r"delivered to port (\S+) on ")


class Carried(NamedTuple):
    """Where the packet came out: (machine, instance id); under which names it was dropped; whether it came back; by the
    edges (host, port) it left, and whether as a frame of the physical network."""

    reached: tuple
    drops: frozenset
    returned: bool
    edges: tuple = ()
    wired: bool = False

    @property
    def stayed(self):
        return not (self.reached or self.returned or self.edges)


class Wires:
    """The switches of a cluster at rest, and what they drop."""

    def __init__(self, cluster):
        self._state, self._center = cluster.world.state, cluster.center
        self._counters = [
            (DropReason(flow.cookie & 0xFFFF).name.lower(), switch, flow)
            for switch in cluster.center.switches.values()
            for flow in switch.flows()
            if flow.cookie & COOKIE_DROPS_MASK == COOKIE_DROPS
        ]
        self._source_port = 20_000

    def _dropped(self):
        return [switch.packets(flow) for _, switch, flow in self._counters]

    def carry(self, question):
        before = self._dropped()
        reached, returned, sent, edges, wired = self._send(question)
        names = {
            name for (name, *_), was, now in zip(self._counters, before, self._dropped(), strict=True) if now > was
        }
        if not names and not reached and not returned and not edges:
            names = UNCOUNTED if sent else NOT_SENT
        return Carried(reached, frozenset(names), returned, edges, wired)

    def _send(self, question):
        machine = self._state.machine_of(question.source)
        guest = self._center.guests.get(machine.resource_id) if machine is not None else None
        if guest is None or not guest.host:
            return (), False, False, (), False
        interface = self._state.get("networkInterfaces", question.source)
        instance, brought = interface.instance_id, interface.properties.learned_ip_addresses
        place = next(n for n, one in enumerate(guest.adapters) if one.instance_id == instance)
        own, target = guest.adapters[place], pack_ip(question.to)
        source, hop = own.source_for(target), own.next_hop(target)
        # its guest has what it brought, too
        made = PackedIp(link_local_of(own.mac).to_bytes(16))
        if source is None or hop is None or target in (source, made, *(pack_ip(one.ip_address) for one in brought)):
            return (), False, False, (), False
        mac = self._center.resolve(guest.name, hop, place) or NOBODY
        packet = self._packet(question, (own.mac, mac), (str(p.ipaddress.ip_address(source)), question.to))
        wire = self._center.network.wire.seen
        wire.clear()
        delivered = self._center.send(guest.name, packet, place)
        edges = tuple((one.host, one.port) for one in delivered if one.port.startswith("edge"))
        wired = any(one.ip_dst == packet.ip_dst and one.eth_type == packet.eth_type for one in wire)
        found = [self._center.receiver(one) for one in delivered]
        reached = tuple((one.name, one.adapters[n].instance_id) for one, n in filter(None, found))
        returned = (guest.name, instance) in reached
        return tuple(one for one in reached if one != (guest.name, instance)), returned, True, edges, wired

    def _packet(self, question, macs, addresses):
        if question.protocol.startswith("icmp"):
            return p.echo(macs, addresses)
        self._source_port += 1
        made = p.tcp if question.protocol == "tcp" else p.udp
        return made(macs, addresses, (self._source_port, question.port))


def disagreement(cluster, facts, carried, question):
    """Empty if trace says what became of the packet."""
    state = cluster.world.state
    told = trace(state, question.source, question.to, question.protocol, question.port, facts)
    at_edge = _AT_EDGE.match(told.reason)
    if at_edge is not None:
        left = _at_edge(cluster, told, at_edge, carried, question)
        agreed = left == "" and not carried.reached and not carried.returned
        carried = (*carried, left)
    elif not told.delivered:
        expected = next((names for words, names in WHY if re.search(words, told.reason)), frozenset())
        if carried.wired:
            # whoever is not there is looked for on the physical network
            expected |= UNCOUNTED | _FLOODED
        agreed = carried.stayed and carried.drops & expected
    elif told.reason.startswith("left "):
        agreed = carried.stayed and carried.wired and not carried.drops - _FLOODED - UNCOUNTED
    elif told.reason.startswith("answered by"):
        agreed = carried.returned and not carried.reached
    else:
        name = _PORT.match(told.reason)[1]
        wanted = (state.machine_of(name).resource_id, state.get("networkInterfaces", name).instance_id)
        agreed = carried.reached == (wanted,) and not carried.returned and not carried.edges
    return "" if agreed else f"{question}: trace says {told.reason!r} by {told.path[-1:]}, the switches {carried}"


def _at_edge(cluster, told, verdict, carried, question):
    """What the edge does that trace does not say."""
    host, words = verdict[1], verdict[2]
    if len(carried.edges) != 1 or carried.edges[0][0] != host:
        return "another edge"
    record = edges.record_of(cluster, *carried.edges[0])
    source, *said = told.path[-1].text.split(" leaves through ")
    if not said:
        family = len(pack_ip(question.to))
        source = next(one for one in _own(cluster, question.source) if len(pack_ip(one)) == family)
    found = edges.left(record, source, question.to)
    if not isinstance(found, edges.Left):
        wanted = {None: "has no route to", "own": "whose own", "held": "has no public address of"}[found]
        return "" if words == wanted else str(found)
    kind = "routed" if found.source == source else f"known outside as {found.source}"
    way = f"{_way(record, found)}, {kind}"
    return "" if said == [way] else way


def _own(cluster, interface):
    configured = cluster.world.state.get("networkInterfaces", interface).properties.ip_configurations
    return [one.properties.private_ip_address for one in configured]


def _way(record, found):
    """As trace names the way out."""
    if found.link.leg is not None:
        return found.link.leg.subnet + (f" by {found.hop}" if found.hop else "")
    one = found.link.tunnel
    key = f"key {one.key_value}" if one.key_value >= 0 else "without a key"
    ends = f"in GRE from {ip_text(one.local)} to {ip_text(one.remote)}"
    return f"{record.resource_ref}/networkConnections/{one.name} {ends}, {key}"
