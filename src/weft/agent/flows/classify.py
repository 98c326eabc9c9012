"""Table CLASSIFY: which virtual subnet and routing domain a packet is in, and whether it may come in at all. Pure.

priority 110  a VLAN tag, from guest or tunnel: dropped (RFC 7637 section 3.2 forbids the inner tag)
priority 105  a tunnel's probe, which is another agent's: to ours (reach.py)
priority 100  a guest's MAC on its port, or a known VSID from a tunnel port
priority  95  another MAC of a port that may send from any
priority  90  anything else from a guest's port (another MAC) or a tunnel port (another VSID)
priority   0  a port that nobody told us of
"""

from weft.agent.asking import REACH
from weft.agent.flows.actions import Actions, Controller, Goto, Meter, SetField
from weft.agent.flows.fields import (
    ETH_SRC,
    GROUP_BIT,
    IN_PORT,
    OWN_PORT,
    RDID,
    VLAN_PRESENT,
    VLAN_TCI,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import Flow, Term, dropped, exact
from weft.agent.flows.metering import Kind, meter_id
from weft.agent.flows.ways import PROBE_VSID, BoundPort, Way, key_is, sent_from
from weft.model.values import is_segment

_TAGGED: Term = (VLAN_TCI, VLAN_PRESENT, VLAN_PRESENT)


def of_fixed() -> tuple[Flow, ...]:
    return (Flow(Table.CLASSIFY, 0, (), dropped(DropReason.UNKNOWN_PORT), cookie(Category.FIXED)),)


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    """Let a bound port's own frames in."""
    mark = cookie(Category.PORT, port.number)
    own = SetField(OWN_PORT, port.number)
    network = (SetField(VSID, port.vsid), SetField(RDID, port.rdid), own)
    enter: Actions = (*network, *sent_from(port.source), Goto(Table.SECURITY))
    if port.limits is not None and port.limits.outbound_mbps:
        enter = (Meter(meter_id(port.number, Kind.OUTBOUND)), *enter)
    if port.spoofs and not is_segment(port.vsid):
        rest = Flow(Table.CLASSIFY, 95, (port.in_port, (ETH_SRC, 0, GROUP_BIT)), enter, mark)
    else:
        rest = Flow(Table.CLASSIFY, 90, (port.in_port,), dropped(DropReason.SPOOFED_MAC), mark)
    return (
        Flow(Table.CLASSIFY, 110, (port.in_port, _TAGGED), dropped(DropReason.VLAN_TAGGED), mark),
        Flow(Table.CLASSIFY, 100, (port.in_port, exact(ETH_SRC, port.mac)), enter, mark),
        rest,
    )


def entrance(flow: Flow) -> int | None:
    """The number of the port that this flow lets in; None if it is another kind of flow."""
    is_port = flow.table == Table.CLASSIFY and flow.cookie >> 40 == cookie(Category.PORT) >> 40
    return flow.cookie & 0xFFFFFFFF if is_port and flow.priority == 100 else None


def identity(flow: Flow) -> frozenset[SetField]:
    """Which virtual subnet and routing domain an entrance leads to: other ones make the port another guest's."""
    return frozenset(one for one in flow.actions if isinstance(one, SetField) and one.field in (VSID, RDID))


def of_tunnel_port(number: int, kind: str) -> tuple[Flow, ...]:
    """What comes out of a tunnel port but belongs to no VSID of ours."""
    mark = cookie(Category.FIXED)
    in_port = exact(IN_PORT, number)
    return (
        Flow(Table.CLASSIFY, 110, (in_port, _TAGGED), dropped(DropReason.VLAN_TAGGED), mark),
        Flow(Table.CLASSIFY, 105, (in_port, key_is(kind, PROBE_VSID)), (Controller(REACH),), mark),
        Flow(Table.CLASSIFY, 90, (in_port,), dropped(DropReason.UNKNOWN_VSID), mark),
    )


def of_subnet(rdid: int, vsid: int, way: Way) -> tuple[Flow, ...]:
    """Let tunnelled packets of a virtual subnet in, in the form its network uses."""
    enter = (SetField(VSID, vsid), SetField(RDID, rdid), Goto(Table.TUNNEL_SOURCE))
    mark = cookie(Category.NETWORK, vsid)
    return tuple(Flow(Table.CLASSIFY, 100, (port, way.key_is(vsid)), enter, mark) for port in way.in_ports)
