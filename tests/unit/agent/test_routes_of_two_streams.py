"""A peer's subnet where a connection leads: they come by two streams, in either order."""

import pytest

from weft.agent.flows.table import FlowTable
from weft.model.records import CustomerRoute, NetworkSettings, PeerNetwork, SubnetRecord
from weft.model.values import Vsid, pack_ip

BLUE, RED = 50, 60
PREFIX = pack_ip("172.16.5.0")
ROUTE = CustomerRoute(Vsid(5009), PREFIX, 24, pack_ip("10.1.9.4"), 1)
SUBNET = SubnetRecord(Vsid(6005), PREFIX, 24, pack_ip("172.16.5.1"))


def table(*records):
    found = FlowTable()
    found.put(BLUE, NetworkSettings(BLUE, "vxlan", "/virtualNetworks/blue"))
    found.put(BLUE, PeerNetwork(RED, "/virtualNetworks/red", True))
    found.put(RED, NetworkSettings(RED, "vxlan", "/virtualNetworks/red"))
    for stream, record in records:
        found.put(stream, record)
        found.build()
    return found


@pytest.mark.parametrize(("goes", "comes"), [((BLUE, ROUTE), (RED, SUBNET)), ((RED, SUBNET), (BLUE, ROUTE))])
def test_what_goes_takes_nothing_of_what_has_come(goes, comes):
    changed = table(goes, comes)
    changed.remove(goes[0], goes[1].key)
    changed.build()
    assert changed.flows == table(comes).flows
