"""Table TELL: what the sender of a packet that was dropped is told by the agent, as a router would tell it. Pure.

Packets whose TTL ends come here from table DROP, which has counted them; what no tunnel carries comes from ENCAP, and
is counted by the agent. From DROP comes also what a guest sends from an address that it may bring: of that the agent
itself is told.

priority 100  of a port, by reason: to the agent, as often as the port may ask
priority   0  nobody to be told
"""

from weft.agent.asking import TOO_FAR, TOO_LARGE, UNKNOWN_SOURCE, ask
from weft.agent.flows.fields import REASON, Category, DropReason, Table, cookie
from weft.agent.flows.flow import Flow, exact
from weft.agent.flows.ways import BoundPort

TOLD = {DropReason.TTL_EXPIRED: TOO_FAR, DropReason.TOO_LARGE: TOO_LARGE}
"""Reasons, with the service that tells."""


def of_fixed() -> tuple[Flow, ...]:
    return (Flow(Table.TELL, 0, (), (), cookie(Category.FIXED)),)


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    mark = cookie(Category.PORT, port.number)
    told = TOLD | ({DropReason.UNLEARNT: UNKNOWN_SOURCE} if port.brings else {})
    return tuple(
        Flow(Table.TELL, 100, (port.in_port, exact(REASON, reason)), ask(service, port.number), mark)
        for reason, service in told.items()
    )
