"""Tables TRACK_OUT to COMMIT_OUT and TRACK_IN to DELIVER: the way of packets of ports that access lists or limits apply
to. A port without any takes none of them. Pure.

FILTER_*
priority 1  no list of this kind applies (its register is 0): on
priority 0  a list whose rules are not here: nothing passes

Elsewhere priority 0 goes on.
"""

from weft.agent.actions import Goto, OutputRegister
from weft.agent.fields import INTERFACE_LIST, SUBNET_LIST, TO_PORT, Category, DropReason, Table, cookie
from weft.agent.flow import Flow, dropped, exact

_ONWARD = {
    Table.TRACK_OUT: Table.SCOPE_OUT,
    Table.SCOPE_OUT: Table.FILTER_OUT_INTERFACE,
    Table.COMMIT_OUT: Table.ROUTE,
    Table.TRACK_IN: Table.SCOPE_IN,
    Table.SCOPE_IN: Table.FILTER_IN_SUBNET,
}
_FILTERS = {
    Table.FILTER_OUT_INTERFACE: (INTERFACE_LIST, Table.FILTER_OUT_SUBNET),
    Table.FILTER_OUT_SUBNET: (SUBNET_LIST, Table.COMMIT_OUT),
    Table.FILTER_IN_SUBNET: (SUBNET_LIST, Table.FILTER_IN_INTERFACE),
    Table.FILTER_IN_INTERFACE: (INTERFACE_LIST, Table.DELIVER),
}


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    denied = dropped(DropReason.ACCESS_DENIED)
    return (
        *(Flow(table, 0, (), (Goto(after),), fixed) for table, after in _ONWARD.items()),
        *(Flow(table, 1, (exact(list_, 0),), (Goto(after),), fixed) for table, (list_, after) in _FILTERS.items()),
        *(Flow(table, 0, (), denied, fixed) for table in _FILTERS),
        Flow(Table.DELIVER, 0, (), (OutputRegister(TO_PORT),), fixed),
    )
