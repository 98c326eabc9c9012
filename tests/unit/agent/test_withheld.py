"""Nobody sends from an address that another machine may have; who does not send from it yet holds nobody up."""

import ipaddress

import pytest

from tests.unit.agent.three_hosts import ADDRESSES, MACS, PLACES, RDID, VSID, Cluster
from weft.fakes import packet as p
from weft.model.records import Machine, PortBinding, ProviderAddress, TunnelEndpoint
from weft.model.values import InstanceId, pack_ip

THEIRS = pack_ip("192.168.1.31")
"""Of another virtual subnet's machines on host a."""


def arrives(cluster: Cluster) -> bool:
    """What the sender on a says to the machine on b."""
    macs = (MACS["sender"], MACS["stays"])
    texts = [str(ipaddress.ip_address(ADDRESSES[one][0])) for one in ("sender", "stays")]
    return bool(cluster.switches["a"].inject("sender", p.udp(macs, (texts[0], texts[1]), (9, 9), "x")))


@pytest.mark.parametrize(
    ("power", "plugged", "held_up"),
    [("Off", False, False), ("Incoming", False, False), ("Incoming", True, False), ("Running", True, True)],
)
async def test_a_machine_that_comes_holds_nobody_up_while_its_address_is_asked_for(
    power: str, plugged: bool, held_up: bool
) -> None:
    cluster = Cluster({"sender": "a", "stays": "b"})
    told = cluster.told["a"]
    for one in cluster.told.values():
        one.put(RDID, (4, THEIRS), TunnelEndpoint(THEIRS, for_subnet=True))
    told.put(0, (11, THEIRS), ProviderAddress(THEIRS, 24, pack_ip("192.168.1.254"), "pa", for_subnet=True))
    other = PortBinding(InstanceId("other"), "other", RDID, VSID, MACS["other"], ADDRESSES["other"], THEIRS)
    machine = Machine("other", power, (InstanceId("other"),), "")
    for record in (other, machine):
        told.put(0, record.key, record)
    told.withhold(frozenset({THEIRS}))
    if plugged:
        cluster.switches["a"].plug("other", "other", MACS["other"])
    await cluster.settle()
    assert arrives(cluster) is not held_up
    told.withhold(frozenset())
    await cluster.settle()
    assert arrives(cluster)


def test_a_machine_begins_unless_its_port_would_stop_others_of_its_network() -> None:
    cluster = Cluster({"sender": "a", "mover": "a", "stays": "b"})
    told, own = cluster.told["a"], PLACES["a"]
    theirs = PortBinding(InstanceId("other"), "other", RDID, VSID, MACS["other"], ADDRESSES["other"], THEIRS)
    told.put(0, theirs.key, theirs)
    told.plan(True)
    (same,) = [one.binding for one in told.locals.values() if one.binding.instance_id == "sender"]
    for withheld, waits in (((), []), ((THEIRS,), [theirs]), ((own,), [same]), ((own, THEIRS), [])):
        told.withhold(frozenset(withheld))
        assert [one for one in (theirs, same) if told.tunnels.is_withheld(one)] == waits
