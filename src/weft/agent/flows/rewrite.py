"""IP rewrite: customer addresses in headers become provider addresses on the wire, and again customer addresses. Pure.

Called by physical.py for each lookup record of a network that rewrites; its provider address stands for its customer
address alone. No tunnel: packets go by the patch, from the machine's MAC address to the machine's MAC address.

CLASSIFY      priority 105  the provider network asks for the address of a machine here: answered
              priority 104  from the patch, for the provider address of a machine here: its customer address
              priority  95  from the patch, for one that stands for nobody here: counted
TUNNEL_SOURCE priority 105  from the provider address of a machine of the same virtual subnet: its customer address
              priority 104  of another one of the network: routed, so the MAC is the router's
OUTPUT        priority 110  to a customer address that is elsewhere: its provider address
ENCAP         priority 200  from a port here: the provider address that stands for the sender's
              priority  50  nothing stands for the sender's: counted
"""

import msgspec

from weft.agent.flows.actions import Actions, Goto, InPort, Move, Output, PopVlan, PushVlan, SetBits, SetField, SetVlan
from weft.agent.flows.fields import (
    ARP_OP,
    ARP_SHA,
    ARP_SPA,
    ARP_THA,
    ARP_TPA,
    ETH_DST,
    ETH_SRC,
    GROUP_BIT,
    IN_PORT,
    MARKS,
    RDID,
    REWRITTEN,
    VLAN_PRESENT,
    VLAN_TCI,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_ARP_REQUEST, Flow, Term, dropped, exact, in_order
from weft.agent.flows.ways import family_of
from weft.model.records import LookupRecord
from weft.model.values import ROUTER_MAC

_MARK = 1 << REWRITTEN


class Wire(msgspec.Struct, frozen=True):
    """The provider network as this host is on it: by the patch, tagged or not."""

    patch: int
    vlan: int

    @property
    def comes(self) -> tuple[Term, Term]:
        tag = exact(VLAN_TCI, VLAN_PRESENT | self.vlan) if self.vlan else (VLAN_TCI, 0, VLAN_PRESENT)
        return exact(IN_PORT, self.patch), tag

    @property
    def untag(self) -> Actions:
        return (PopVlan(),) if self.vlan else ()

    @property
    def out(self) -> Actions:
        return (PushVlan(), SetVlan(self.vlan), Output(self.patch)) if self.vlan else (Output(self.patch),)


def of_here(rdid: int, record: LookupRecord, port: int, wire: Wire) -> tuple[Flow, ...]:
    """A machine that runs here: what is for it, and what it sends."""
    family, mark = family_of(record.customer_address), cookie(Category.LOOKUP, record.vsid)
    own, outer = int.from_bytes(record.customer_address), int.from_bytes(record.provider_address)
    enter: Actions = (
        *wire.untag,
        SetField(VSID, record.vsid),
        SetField(RDID, rdid),
        SetField(family.destination, own),
        Goto(Table.TUNNEL_SOURCE),
    )
    to_it = in_order((*wire.comes, exact(ETH_DST, record.mac), *family.only, exact(family.destination, outer)))
    leaves = in_order((exact(IN_PORT, port), (MARKS, _MARK, _MARK), *family.only, exact(family.source, own)))
    send: Actions = (SetField(family.source, outer), SetField(ETH_SRC, record.mac), *wire.out)
    flows = (Flow(Table.CLASSIFY, 104, to_it, enter, mark), Flow(Table.ENCAP, 200, leaves, send, mark))
    if len(record.provider_address) != 4:
        return flows
    asked = in_order((*wire.comes, *IS_ARP_REQUEST, exact(ARP_TPA, outer)))
    return (*flows, Flow(Table.CLASSIFY, 105, asked, _answer(outer, record.mac), mark))


def of_nobody(size: int, wire: Wire) -> Flow:
    """IP of the family whose addresses have so many bytes, to one adapter; broadcasts are everybody's on that network,
    and no machine's."""
    family = family_of(bytes(size))
    match = in_order((*wire.comes, (ETH_DST, 0, GROUP_BIT), *family.only))
    return Flow(Table.CLASSIFY, 95, match, dropped(DropReason.NO_REWRITE), cookie(Category.FIXED))


def of_fixed() -> tuple[Flow, ...]:
    mark = (MARKS, _MARK, _MARK)
    return (Flow(Table.ENCAP, 50, (mark,), dropped(DropReason.NO_REWRITE), cookie(Category.FIXED)),)


def _answer(address: int, mac: int) -> Actions:
    return (
        Move(ETH_SRC, ETH_DST),
        SetField(ETH_SRC, mac),
        SetField(ARP_OP, 2),
        Move(ARP_SHA, ARP_THA),
        Move(ARP_SPA, ARP_TPA),
        SetField(ARP_SHA, mac),
        SetField(ARP_SPA, address),
        InPort(),
    )


def of_elsewhere(rdid: int, record: LookupRecord) -> tuple[Flow, ...]:
    """A machine of another host: what is sent to it, and what comes from it."""
    family, mark = family_of(record.customer_address), cookie(Category.LOOKUP, record.vsid)
    theirs, outer = int.from_bytes(record.customer_address), int.from_bytes(record.provider_address)
    place = (exact(VSID, record.vsid), exact(ETH_DST, record.mac))
    to_it = in_order((*place, *family.only, exact(family.destination, theirs)))
    go: Actions = (SetField(family.destination, outer), SetBits(MARKS, _MARK, _MARK), Goto(Table.ENCAP))
    comes = (exact(RDID, rdid), *family.only, exact(family.source, outer))
    back = SetField(family.source, theirs)
    near: Actions = (back, SetField(ETH_SRC, record.mac), Goto(Table.DECAP))
    routed: Actions = (back, SetField(ETH_SRC, ROUTER_MAC), Goto(Table.DECAP))
    return (
        Flow(Table.OUTPUT, 110, to_it, go, mark),
        Flow(Table.TUNNEL_SOURCE, 105, in_order((exact(VSID, record.vsid), *comes)), near, mark),
        Flow(Table.TUNNEL_SOURCE, 104, in_order(comes), routed, mark),
    )
