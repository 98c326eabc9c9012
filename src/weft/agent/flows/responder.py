"""Tables RESPOND and RESPOND_ND: ARP (RFC 826) and neighbour discovery (RFC 4861) answered from policy. Pure.

The question is rewritten into its answer and sent back where it came from. An address without a record gets no
answer: the guest finds it unreachable, as on Hyper-V. Neighbour discovery takes two tables, since Open vSwitch lets an
advertisement's option be written only once the ICMPv6 type is 136.

priority 110  the asker's own address: silence
priority 105  a gateway, or the router's link-local address
priority 100  an address with a record
priority  95  the link-local address of a MAC with a record
priority   0  unknown
"""

from weft.agent.flows.actions import Actions, Goto, InPort, Move, SetField
from weft.agent.flows.fields import (
    ARP_OP,
    ARP_SHA,
    ARP_SPA,
    ARP_THA,
    ARP_TPA,
    ETH_DST,
    ETH_SRC,
    ICMPV6_CODE,
    ICMPV6_TYPE,
    IP_TTL,
    IPV6_DST,
    IPV6_SRC,
    ND_OPTIONS_TYPE,
    ND_RESERVED,
    ND_TARGET,
    ND_TLL,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_ARP, IS_ARP_REQUEST, IS_ICMPV6, Flow, Match, dropped, exact, is_icmpv6
from weft.agent.flows.ways import ALL_NODES, BoundPort
from weft.model.values import ROUTER_MAC, link_local_of

TARGET_OPTION = 2
"""Option type: target link-layer address."""
SOLICITED_OVERRIDE = 0x6000_0000
OVERRIDE = 0x2000_0000
ROUTER = 0x8000_0000

_TO_ASKER, _BACK = Move(ETH_SRC, ETH_DST), InPort()
_ARP_REPLY: Actions = (SetField(ARP_OP, 2), Move(ARP_SHA, ARP_THA), Move(ARP_SPA, ARP_TPA))
"""The same in every answer, made once: there is one answer per customer address."""


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    advertisement = exact(ICMPV6_TYPE, 136)
    with_option = (advertisement, exact(ICMPV6_CODE, 0), exact(ND_OPTIONS_TYPE, TARGET_OPTION))
    to_all, unasked = (*IS_ICMPV6, exact(IPV6_DST, ALL_NODES)), SetField(ND_RESERVED, OVERRIDE)
    return (
        Flow(Table.RESPOND, 0, IS_ARP, dropped(DropReason.ARP_UNKNOWN), fixed),
        Flow(Table.RESPOND, 0, IS_ICMPV6, dropped(DropReason.ND_UNKNOWN), fixed),
        # who asks without an address is told as all nodes are, unasked (RFC 4861 section 7.2.4); what becomes the
        # option may have been another, such as a nonce (RFC 7527)
        Flow(Table.RESPOND_ND, 110, (*to_all, *with_option), (unasked, Move(ETH_SRC, ND_TLL), InPort()), fixed),
        Flow(Table.RESPOND_ND, 105, (*to_all, advertisement), (unasked, InPort()), fixed),
        Flow(Table.RESPOND_ND, 100, (*IS_ICMPV6, *with_option), (Move(ETH_SRC, ND_TLL), InPort()), fixed),
        _router_link_local(fixed),
        # the question had no option (a unicast probe may omit it), so the answer has none to fill
        Flow(Table.RESPOND_ND, 90, is_icmpv6(136), (InPort(),), fixed),
    )


def _router_link_local(mark: int) -> Flow:
    """The router's own link-local address, which its advertisements come from: the same in every virtual subnet."""
    value = link_local_of(ROUTER_MAC)
    match = (*IS_ICMPV6, exact(IP_TTL, 255), exact(ICMPV6_TYPE, 135), exact(ND_TARGET, value))
    answer = _advertisement(value, ROUTER_MAC, SOLICITED_OVERRIDE | ROUTER)
    return Flow(Table.RESPOND, 105, match, answer, mark)


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    """A guest that asks for its own IPv4 address (gratuitous ARP, a probe) must not hear that it is taken."""
    mark = cookie(Category.PORT, port.number)
    return tuple(
        Flow(
            Table.RESPOND,
            110,
            (port.in_port, *IS_ARP, exact(ARP_TPA, address)),
            dropped(DropReason.OWN_ADDRESS),
            mark,
        )
        for address in port.v4
    )


def of_address(vsid: int, address: bytes, mac: int) -> Flow:
    """Answer for one customer address."""
    mark, value = cookie(Category.LOOKUP, vsid), int.from_bytes(address)
    if len(address) == 4:
        return Flow(Table.RESPOND, 100, _arp_for(vsid, value), _arp_answer(value, mac), mark)
    answer = _advertisement(value, mac, SOLICITED_OVERRIDE)
    return Flow(Table.RESPOND, 100, _solicitation_for(vsid, value), answer, mark)


def of_gateway(vsid: int, gateway: bytes) -> Flow:
    """Answer for a subnet's gateway address with the router's MAC."""
    mark, value = cookie(Category.NETWORK, vsid), int.from_bytes(gateway)
    if len(gateway) == 4:
        return Flow(Table.RESPOND, 105, _arp_for(vsid, value), _arp_answer(value, ROUTER_MAC), mark)
    answer = _advertisement(value, ROUTER_MAC, SOLICITED_OVERRIDE | ROUTER)
    return Flow(Table.RESPOND, 105, _solicitation_for(vsid, value), answer, mark)


def of_link_local(vsid: int, mac: int) -> Flow:
    """Answer for the IPv6 link-local address that goes with a MAC."""
    value = link_local_of(mac)
    answer = _advertisement(value, mac, SOLICITED_OVERRIDE)
    return Flow(Table.RESPOND, 95, _solicitation_for(vsid, value), answer, cookie(Category.LOOKUP, vsid))


def _arp_for(vsid: int, address: int) -> Match:
    return (exact(VSID, vsid), *IS_ARP_REQUEST, exact(ARP_TPA, address))


def _arp_answer(address: int, mac: int) -> Actions:
    return (
        _TO_ASKER,
        SetField(ETH_SRC, mac),
        *_ARP_REPLY,
        SetField(ARP_SHA, mac),
        SetField(ARP_SPA, address),
        _BACK,
    )


def _solicitation_for(vsid: int, target: int) -> Match:
    # hop limit 255: it was not routed here (RFC 4861 section 7.1.1)
    return (exact(VSID, vsid), *IS_ICMPV6, exact(IP_TTL, 255), exact(ICMPV6_TYPE, 135), exact(ND_TARGET, target))


def _advertisement(target: int, mac: int, flags: int) -> Actions:
    return (
        Move(ETH_SRC, ETH_DST),
        SetField(ETH_SRC, mac),
        Move(IPV6_SRC, IPV6_DST),
        SetField(IPV6_SRC, target),
        SetField(ND_RESERVED, flags),
        SetField(ND_OPTIONS_TYPE, TARGET_OPTION),
        SetField(ICMPV6_TYPE, 136),
        Goto(Table.RESPOND_ND),
    )
