"""What the portSettings of an interface make of its port: rates, storms, guards. Pure; called by ports.py. A port
without any has no such flow. What a guest may say under other addresses is in flows/security.py.

SECURITY, of a port on a logical network (elsewhere nobody is a DHCP server)
priority 130  what a DHCP server would send, where the guard is set
ROUTE
priority 730  broadcast and multicast, as many a second as may be
TRACK_IN, of a port with an inbound rate
priority 120  what it said itself: no way back into it, and nothing of its rate
priority  40  broadcast and multicast: a copy of its own, so that what the meter drops of it others still get
DELIVER
priority 300, 290, 200  as 100, 90 and 0 there (access.py), within the port's inbound rate
"""

from collections.abc import Iterator

from msgspec.structs import replace

from weft.agent.flows.access import UNFILTERED, committed
from weft.agent.flows.actions import Goto, Meter, OutputRegister
from weft.agent.flows.dhcp import FROM_SERVERS
from weft.agent.flows.fields import (
    ETH_DST,
    GROUP_BIT,
    TO_PORT,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_IPV4, IS_IPV6, Flow, dropped, exact, in_order
from weft.agent.flows.metering import Kind, meter_id
from weft.agent.flows.ways import FORKED, BoundPort
from weft.model.values import is_segment

_ABOVE = 200


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    return tuple(_of_port(port)) if port.limits is not None else ()


def _of_port(port: BoundPort) -> Iterator[Flow]:
    limits, mark = port.limits, cookie(Category.PORT, port.number)
    assert limits is not None
    if limits.dhcp_guard and is_segment(port.vsid):
        for sent in FROM_SERVERS:
            match = in_order((port.in_port, *sent))
            yield Flow(Table.SECURITY, 130, match, dropped(DropReason.DHCP_GUARDED), mark)
    if limits.storm:
        match = in_order((port.in_port, (ETH_DST, GROUP_BIT, GROUP_BIT)))
        bounded = (Meter(meter_id(port.number, Kind.STORM)), Goto(Table.OUTPUT))
        yield Flow(Table.ROUTE, 730, match, bounded, mark)
    if limits.inbound_mbps:
        yield from _inbound(port, mark)


def _inbound(port: BoundPort, mark: int) -> Iterator[Flow]:
    to_port = exact(TO_PORT, port.number)
    yield Flow(Table.TRACK_IN, 120, in_order((port.in_port, to_port)), (), mark)
    yield Flow(Table.TRACK_IN, 40, in_order((to_port, (ETH_DST, GROUP_BIT, GROUP_BIT))), (FORKED, *UNFILTERED), mark)
    rate, out = (Meter(meter_id(port.number, Kind.INBOUND)),), (OutputRegister(TO_PORT),)
    for family in (IS_IPV4, IS_IPV6):
        for flow in committed(Table.DELIVER, (*family, to_port), rate, out, mark):
            yield replace(flow, priority=flow.priority + _ABOVE)
    yield Flow(Table.DELIVER, _ABOVE, (to_port,), (*rate, *out), mark)
