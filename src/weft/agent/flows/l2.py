"""Tables OUTPUT and ENCAP: a MAC of the virtual subnet to its port or its host; broadcast as unicast copies. Pure.

OUTPUT
priority 100  a known MAC, or the group bit (broadcast and multicast reach every machine of the subnet, no other)
priority   0  unknown MAC

ENCAP, of what is aimed at one host
priority 100  larger than its tunnel carries: its sender is told
priority   0  out of the tunnel
"""

from weft.agent.flows.actions import Actions, Goto, OutputRegister, SetField
from weft.agent.flows.fields import (
    ETH_DST,
    GROUP_BIT,
    MARKS,
    REASON,
    TO_PORT,
    TOO_LARGE,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import Flow, Match, dropped, exact

_UNCOUNTED: Actions = (SetField(REASON, DropReason.TOO_LARGE), Goto(Table.TELL))
"""Past table DROP: Open vSwitch works out both ways of check_pkt_larger for each packet and counts it on both. The
agent counts what it hears of."""


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    return (
        Flow(Table.OUTPUT, 0, (), dropped(DropReason.UNKNOWN_MAC), fixed),
        Flow(Table.ENCAP, 100, ((MARKS, 1 << TOO_LARGE, 1 << TOO_LARGE),), _UNCOUNTED, fixed),
        Flow(Table.ENCAP, 0, (), (OutputRegister(TO_PORT),), fixed),
    )


def to_mac(vsid: int, mac: int) -> Match:
    return (exact(VSID, vsid), exact(ETH_DST, mac))


def to_group(vsid: int) -> Match:
    return (exact(VSID, vsid), (ETH_DST, GROUP_BIT, GROUP_BIT))


def of_mac(vsid: int, mac: int, actions: Actions) -> Flow:
    return Flow(Table.OUTPUT, 100, to_mac(vsid, mac), actions, cookie(Category.LOOKUP, vsid))


def of_group(vsid: int, local: Actions, remote: Actions) -> Flow:
    """A guest's broadcast: to the local ports (the switch skips the sender's own), then a copy to each host."""
    return Flow(Table.OUTPUT, 100, to_group(vsid), (*local, *remote), cookie(Category.NETWORK, vsid))
