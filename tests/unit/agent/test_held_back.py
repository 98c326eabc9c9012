"""Who gets no port yet, for how long, and what it costs to know."""

import time

import pytest

from tests.unit.agent.three_hosts import MACS, PLACES, RDID, VSID
from weft.agent.bindings import Local, Role
from weft.agent.encryption import Pair
from weft.agent.flows.domain import Domain
from weft.agent.flows.ways import Way
from weft.agent.held_back import NOT_ENCRYPTED, SEALING_SECONDS, HeldBack
from weft.agent.switch import Tunnel
from weft.agent.told import Told
from weft.agent.tunnels import Tunnels
from weft.model.hypervisor import MachineState
from weft.model.records import LookupRecord, Machine, PeerNetwork, PortBinding, TunnelEndpoint
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, pack_ip

THEIRS = pack_ip("192.168.1.31")
PEER = Rdid(8)


def absent(name: str, address: PackedIp = THEIRS) -> Local:
    binding = PortBinding(InstanceId(name), name, RDID, VSID, MACS["other"], (), address)
    return Local(binding, None, Role.HERE)


def tunnels(sealed: bool, records: int = 0) -> Tunnels:
    """Of host a, whose network is open to b if `sealed`, and is peered with another."""
    domain = Domain(RDID)
    for number in range(records):
        address = PackedIp((0x0A000000 + number).to_bytes(4))
        domain.put(LookupRecord(VSID, address, Mac(0x001DD8000000 + number), PLACES["b"]))
    for record in (TunnelEndpoint(PLACES["b"]), PeerNetwork(PEER, "red")):
        domain.put(record)
    found = Tunnels(Told(), {RDID: domain, PEER: Domain(PEER)})
    found.ways[RDID] = Way(Tunnel("gre"), 1, sealed=frozenset({PLACES["b"]}) if sealed else None)
    return found


def reasons(held_back: HeldBack, power: str) -> list[str]:
    facts = [absent("one").fact()]
    (fact,) = held_back.told(facts, [Machine("one", power, (InstanceId("one"),), "")], {})
    return [fact.reason] if fact.reason else []


def test_one_whose_address_is_not_encrypted_waits_from_when_its_interface_is_here() -> None:
    held_back, ways = HeldBack(), tunnels(sealed=True)
    held_back.look([absent("one")], ways, 100.0)
    assert list(held_back.interfaces) == ["one"] and reasons(held_back, "Off") == []
    assert reasons(held_back, "Running") == [NOT_ENCRYPTED]
    held_back.look([absent("one"), absent("two")], ways, 100.0 + SEALING_SECONDS)
    assert list(held_back.interfaces) == ["two"], "others' hosts have had their time since it was told, Off or not"
    ways.sealed = frozenset({Pair(THEIRS, PLACES["b"])})
    held_back.look([absent("one"), absent("two")], ways, 100.0 + SEALING_SECONDS)
    assert not held_back.interfaces


def test_one_that_runs_is_not_held_back() -> None:
    held_back = HeldBack()
    held_back.look([absent("one")], tunnels(sealed=True), 0.0)
    machine = Machine("one", "Running", (InstanceId("one"),), "")
    (fact,) = held_back.told([absent("one").fact()], [machine], {"one": MachineState("one", "Running")})
    assert (fact.state, fact.reason) == ("absent", "")


def test_one_whose_way_into_a_peer_would_close_waits_too() -> None:
    held_back, ways = HeldBack(), tunnels(sealed=False)
    ways.ways[PEER] = Way(Tunnel("gre"), 1, sealed=frozenset({PLACES["c"]}))
    domains = ways._domains
    domains[PEER].put(TunnelEndpoint(PLACES["c"]))
    held_back.look([absent("one")], ways, 0.0)
    assert list(held_back.interfaces) == ["one"]
    domains[RDID].remove(PeerNetwork(PEER, "red").key)
    held_back.look([absent("one")], ways, 0.0)
    assert not held_back.interfaces
    domains[RDID].put(PeerNetwork(PEER, "red", takes_forwarded=True))
    held_back.look([absent("one")], ways, 0.0)
    assert list(held_back.interfaces) == ["one"]


@pytest.mark.parametrize("sealed", [True, False])
def test_it_costs_as_much_in_a_large_network_as_in_a_small_one(sealed: bool) -> None:
    """It is asked in each round of the agent."""

    def seconds(records: int) -> float:
        held_back, ways = HeldBack(), tunnels(sealed, records)
        local = [absent(f"i{n}", PackedIp(bytes((192, 168, 2, n)))) for n in range(100)]
        taken = []
        for _ in range(9):
            began = time.process_time()
            held_back.look(local, ways, 0.0)
            taken.append(time.process_time() - began)
        return min(taken)

    assert seconds(2000) < 10 * seconds(2)
