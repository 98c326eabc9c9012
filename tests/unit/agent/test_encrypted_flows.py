"""What flows do with a network that is to be encrypted: nothing goes to a host, or is taken from one, in clear."""

import ipaddress

import msgspec
import pytest

from tests.unit.agent.three_hosts import ADDRESSES, MACS, PLACES, RDID, VSID, Cluster
from weft.agent.encryption import Pair
from weft.fakes import packet as p
from weft.model.records import PortBinding, ProviderAddress, TunnelEndpoint
from weft.model.values import InstanceId, pack_ip

A, B, C = PLACES["a"], PLACES["b"], PLACES["c"]


async def world(*sealed, encrypted=True):
    """One machine on each host; between these ordered pairs of hosts everything is encrypted."""
    cluster = Cluster({"sender": "a", "stays": "b", "other": "c"}, encrypted)
    for name, told in cluster.told.items():
        told.sealed_are(frozenset(Pair(PLACES[one], PLACES[two]) for one, two in sealed if one == name))
    await cluster.settle()
    return cluster


def sent(cluster, name, host, to):
    """Where a packet from one machine to another comes out."""
    texts = [str(ipaddress.ip_address(ADDRESSES[one][0])) for one in (name, to)]
    found = cluster.switches[host].inject(name, p.udp((MACS[name], MACS[to]), tuple(texts), (9, 9), "x"))
    return [f"{one.host} {one.port}" for one in found]


def crossed(cluster):
    """Between which provider addresses anything was on the wire."""
    return {(one.source, one.destination) for one in cluster.network.seen}


async def drops(cluster, host):
    return (await cluster.switches[host].dump()).drops.get("not_encrypted", 0)


async def test_only_hosts_with_which_all_is_encrypted_are_sent_to():
    cluster = await world("ab", "ba")
    assert sent(cluster, "sender", "a", "stays") == ["b stays"]
    assert sent(cluster, "sender", "a", "other") == [] and await drops(cluster, "a") == 1
    assert cluster.heard() == ["b stays"], "nor are broadcasts"
    assert crossed(cluster) == {(A, B)}


async def test_what_comes_in_clear_is_not_taken():
    cluster = await world("ab")
    assert sent(cluster, "sender", "a", "stays") == [] and await drops(cluster, "b") == 1
    assert cluster.heard() == []


async def test_a_network_that_need_not_be_encrypted_is_not_asked():
    cluster = await world(encrypted=False)
    assert sent(cluster, "sender", "a", "other") == ["c other"] and cluster.heard() == ["b stays", "c other"]


async def test_it_follows_what_is_encrypted_now():
    cluster = await world("ab", "ba")
    cluster.told["a"].sealed_are(frozenset())
    await cluster.settle()
    assert sent(cluster, "sender", "a", "stays") == [] and cluster.heard() == []
    cluster.told["a"].sealed_are(frozenset({Pair(A, B)}))
    await cluster.settle()
    assert sent(cluster, "sender", "a", "stays") == ["b stays"]


@pytest.mark.parametrize(("sealed", "arrives"), [(("ab", "ba", "bc", "cb"), ["c mover"]), (("ab", "ba"), [])])
async def test_what_comes_for_a_machine_that_has_left_is_sent_on_encrypted_or_not_at_all(sealed, arrives):
    cluster = Cluster({"sender": "a", "mover": "b"}, encrypted=True)
    for name, told in cluster.told.items():
        told.sealed_are(frozenset(Pair(PLACES[one], PLACES[two]) for one, two in sealed if one == name))
    await cluster.move("b")
    assert sent(cluster, "sender", "a", "mover") == arrives
    assert cluster.heard() == arrives
    assert await drops(cluster, "b") == (0 if arrives else 1)
    assert ((B, C) in crossed(cluster)) is bool(arrives)


async def test_every_pair_is_kept_at_both_ends_also_of_addresses_that_are_not_used_yet():
    cluster = await world("ab", "ba")
    second, sixth = pack_ip("192.168.1.12"), pack_ip("2001:db8::12")
    for told in cluster.told.values():
        for one in (second, sixth):
            told.put(RDID, (4, one), TunnelEndpoint(one))
    for one in (second, sixth):
        cluster.told["b"].put(0, (11, one), ProviderAddress(one, 24, pack_ip("192.168.1.254"), "pa"))
    await cluster.settle()
    asked = {name: told.tunnels.to_encrypt for name, told in cluster.told.items()}
    assert asked["a"] == {Pair(A, B), Pair(A, C), Pair(A, second)}
    assert asked["b"] == {Pair(one, other) for one in (B, second) for other in (A, C)}
    every = frozenset().union(*asked.values())
    assert every == {Pair(one.remote, one.local) for one in every}, "or one end waits for the other for ever"
    assert sent(cluster, "sender", "a", "stays") == ["b stays"], "what is not used keeps nobody waiting"


async def test_what_another_virtual_subnet_sends_from_is_kept_before_it_is_used_and_stops_nobody_before() -> None:
    """Its own address on the host is told with a machine that only comes: its port is not there yet."""
    cluster = await world("ab", "ba")
    told, theirs = cluster.told["a"], pack_ip("192.168.1.31")
    for one in cluster.told.values():
        one.put(RDID, (4, theirs), TunnelEndpoint(theirs, for_subnet=True))
    told.put(0, (11, theirs), ProviderAddress(theirs, 24, pack_ip("192.168.1.254"), "pa", for_subnet=True))
    await cluster.settle()
    assert told.tunnels.to_encrypt == {Pair(one, other) for one in (A, theirs) for other in (B, C)}
    coming = InstanceId("coming")
    binding = PortBinding(coming, "coming", RDID, VSID, MACS["other"], (pack_ip("10.0.0.9"),), theirs)
    told.put(0, binding.key, binding)
    await cluster.settle()
    assert sent(cluster, "sender", "a", "stays") == ["b stays"] and told.tunnels.stops_others(binding)
    cluster.switches["a"].plug("coming", "coming", MACS["other"])
    await cluster.settle()
    assert sent(cluster, "sender", "a", "stays") == [], "what it sends is in clear, and there is one way for all"
    told.sealed_are(frozenset({Pair(A, B), Pair(theirs, B)}))
    await cluster.settle()
    assert not told.tunnels.stops_others(binding), "nothing is open to c, so there is nothing to stop"
    assert sent(cluster, "sender", "a", "stays") == ["b stays"]


async def test_what_comes_to_another_address_of_the_host_than_the_tunnel_s_is_not_taken():
    cluster = await world("ab", "ba")
    second = pack_ip("192.168.2.2")
    cluster.told["b"].put(0, (11, second), ProviderAddress(second, 24, pack_ip("192.168.2.254"), "another"))
    await cluster.settle()
    sent(cluster, "sender", "a", "stays")
    (outer,) = cluster.network.seen
    switch = cluster.switches["b"]
    assert [one.port for one in switch.receive(outer)] == ["stays"]
    assert switch.receive(msgspec.structs.replace(outer, destination=second)) == [] and await drops(cluster, "b") == 1


async def test_the_driver_is_to_keep_what_the_records_name():
    cluster = await world()
    assert cluster.told["a"].tunnels.to_encrypt == {Pair(A, B), Pair(A, C)}
    plain = await world(encrypted=False)
    assert plain.told["a"].tunnels.to_encrypt == frozenset()
