"""The sum of increments is the whole: after any history, in any grouping, every stream is what a compile from nothing
makes of it."""

from hypothesis import given

from tests.cluster.world import World
from tests.property.core.increments import Mirror, check
from tests.property.core.policy_steps import histories
from weft.core import policy


@given(histories)
def test_increments_add_up_to_the_whole(history):
    check(history)


def test_a_history_of_peers():
    check(
        [
            (True, ("interface", "n0", "blue", 0, 1)),
            (True, ("interface", "n1", "Red", 0, 2)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("machine", "M2", "H2", {"n1"})),
            (True, ("peer", "blue", 1, False)),
            (True, ("peer", "Red", 1, True)),
            (True, ("power", "m1", "Running")),
            (True, ("server", "H2", 2)),
            (False, ("machine", "m1", "h3", {"n0"})),
            (True, ("peer", "blue", 2, False)),
            (True, ("peer", "blue", 1, True)),
            (False, ("delete", "M2")),
            (True, ("raze", "Red")),
            (True, ("network", "Red", 1, "")),
            (True, ("peer", "Red", 1, True)),
            (False, ("delete", "m1")),
            (True, ("peer", "Red", 0, True)),
        ]
    )


def test_a_history_of_a_gateway_that_a_peer_uses():
    check(
        [
            (True, ("gateway", "g1", "h1")),
            (True, ("table", "t1", {"net", "out"})),
            (True, ("network", "Red", 0, "t1")),
            (True, ("peer", "Red", 1, False, "uses")),
            (True, ("peer", "blue", 1, False, "lends")),
            (True, ("way_out", "blue", ("g1",), True)),
            (True, ("interface", "n1", "Red", 0, 2)),
            (True, ("known", "n1", True)),
            (True, ("public", "203.0.113.21")),
            (True, ("network", "Red", 2, "t1")),
            (True, ("peer", "Red", 1, False, "uses")),
            (True, ("network", "blue", 1, "")),
            (True, ("peer", "blue", 1, False, "lends")),
            (True, ("way_out", "Red", ("g1",), False)),
            (True, ("way_out", "Red", None, False)),
            (True, ("known", "n1", False)),
            (True, ("peer", "blue", 2, False, "lends")),
            (True, ("peer", "blue", 1, False, "lends")),
            (True, ("way_out", "blue", None, True)),
            (True, ("way_out", "blue", ("g1",), True)),
            (False, ("raze", "Red")),
            (True, ("network", "Red", 0, "t1")),
            (True, ("peer", "Red", 1, False, "uses")),
            (True, ("raze", "blue")),
        ]
    )


def test_a_history_of_connections_into_the_address_space():
    check(
        [
            (True, ("gateway", "g1", "h1")),
            (True, ("way_out", "blue", ("g1",), True)),
            (True, ("leads", "blue", 1, False)),
            (True, ("space", "blue", "10.0.0.0/8")),
            (True, ("side", "side", 1, 77)),
            (True, ("peer", "Red", 1, False, "uses")),
            (True, ("peer", "blue", 1, False, "lends")),
            (True, ("leads", "blue", 3, True)),
            (True, ("space", "blue", "0.0.0.0/0")),
            (True, ("leads", "blue", 2, False)),
            (True, ("pool", False)),
            (True, ("pool", True)),
            (True, ("space", "Red", "10.1.0.0/16")),
            (False, ("network", "blue", 1, "")),
            (True, ("space", "blue", "0.0.0.0/0")),
            (True, ("peer", "blue", 2, False, "lends")),
            (True, ("peer", "blue", 1, False, "lends")),
            (True, ("leads", "blue", 0, False)),
            (True, ("leads", "blue", 1, False)),
            (True, ("raze", "blue")),
        ]
    )


def test_a_history_of_encryption_and_of_who_answers_probes():
    check(
        [
            (True, ("interface", "n0", "blue", 0, 1)),
            (True, ("interface", "n1", "Red", 0, 2)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("machine", "M2", "H2", {"n1"})),
            (True, ("says", "h1", True)),
            (True, ("encrypt", "blue", {"db"})),
            (True, ("peer", "blue", 1, False)),
            (True, ("peer", "Red", 1, True)),
            (True, ("encrypt", "blue", set())),
            (False, ("encrypt", "Red", {"web"})),
            (True, ("says", "H2", True)),
            (True, ("server", "H2", 2)),
            (True, ("says", "h1", False)),
            (True, ("peer", "Red", 0, True)),
        ]
    )


def test_encryption_goes_along_a_chain_of_peers():
    """a, b, c, d, each the peer of the next: what goes from one to another is asked the same at both ends."""
    world, mirror, numbers = World(), Mirror(), {"a": 50, "b": 60, "c": 70, "d": 80}
    world.fabric(pa1="192.168.1.0/24")

    def encrypted():
        mirror.follow(world.state, world.taken())
        for rdid in numbers.values():
            assert mirror.streams.get(("network", rdid), {}) == policy.network_stream(world.state, rdid), rdid
        told = ((name, mirror.streams.get(("network", rdid), {}).get((1,))) for name, rdid in numbers.items())
        return "".join(name for name, settings in told if settings is not None and settings.encrypted)

    for name, rdid in numbers.items():
        world.network(name, rdid, {"web": (f"10.{rdid}.1.0/24", rdid * 100)})
    for name, others in (("a", "b"), ("b", "ac"), ("c", "bd"), ("d", "c")):
        world.peer(name, *others)
    assert encrypted() == ""
    world.encrypt("a", "web")
    assert encrypted() == "abcd"
    world.peer("c", "d")
    assert encrypted() == "ab"
    world.encrypt("d", "web")
    assert encrypted() == "abcd"
    world.encrypt("a")
    assert encrypted() == "cd"
    world.peer("c", "b", "d")
    assert encrypted() == "abcd"
    world.delete("virtualNetworks", "c")
    assert encrypted() == "d"
    world.encrypt("d")
    assert encrypted() == ""


def test_a_history_of_routes():
    check(
        [
            (True, ("table", "t1", {"out", "six", "home"})),
            (True, ("network", "blue", 0, "t1")),
            (True, ("network", "blue", 1, "t1")),
            (True, ("table", "t1", {"net", "out"})),
            (True, ("way_out", "blue", ("g1",), False)),
            (True, ("gateway", "g1", "h1")),
            (True, ("way_out", "blue", None, False)),
            (False, ("table", "T2", {"shut"})),
            (True, ("table", "t1", {"shut"})),
            (False, ("network", "blue", 0, "T2")),
            (True, ("table", "T2", {"out"})),
            (True, ("network", "blue", 3, "")),
        ]
    )


def test_a_history_with_everything_in_it():
    check(
        [
            (True, ("interface", "n0", "blue", 1, 1)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("power", "m1", "Running")),
            (False, ("server", "h1", 0)),
            (True, ("server", "H2", 2)),
            (True, ("move", "m1", "H2", "preparing")),
            (True, ("server", "H2", 1)),
            (True, ("move", "m1", "H2", "switched")),
            (True, ("network", "blue", 1)),
            (True, ("fabric", "172.16.0.0/24")),
            (True, ("list", "front", 0)),
            (False, ("list", "Back", 2)),
            (True, ("filter_subnet", "blue", "Six", "front")),
            (True, ("filter_interface", "n0", "Back")),
            (True, ("list", "front", 1)),
            (False, ("filter_subnet", "blue", "six", "")),
            (True, ("unlist", "front")),
            (True, ("space", "Red", "10.0.0.0/8")),
            (True, ("peer", "Red", 1, True)),
            (True, ("peer", "blue", 1, True)),
            (True, ("raze", "blue")),
        ]
    )


def test_a_history_of_what_guests_bring():
    check(
        [
            (True, ("interface", "n0", "blue", 0, 1)),
            (True, ("interface", "n1", "blue", 1, 2)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("machine", "M2", "H2", {"n1"})),
            (True, ("power", "m1", "Running")),
            (True, ("guests", "blue", "Six", 60)),
            (True, ("guests", "blue", "web", 900)),
            (True, ("list", "front", 1)),
            (True, ("filter_subnet", "blue", "Six", "front")),
            (True, ("filter_subnet", "blue", "Six", "")),
            (True, ("bring", "n0", "10.1.1.200")),
            (True, ("bring", "n0", "fd00:1::200")),
            (True, ("power", "M2", "Running")),
            (True, ("bring", "n1", "10.1.1.200")),
            (True, ("move", "m1", "h3", "preparing")),
            (True, ("move", "m1", "h3", "switched")),
            (True, ("bring", "n0", "10.1.1.200")),
            (True, ("guests", "blue", "web", 0)),
            (True, ("forget", "n0", "10.1.1.200")),
            (True, ("network", "blue", 1, "")),
            (True, ("power", "m1", "Off")),
            (True, ("interface", "n0", "blue", 2, 1)),
            (True, ("raze", "blue")),
        ]
    )


def test_a_history_of_a_way_out():
    check(
        [
            (True, ("interface", "n0", "blue", 0, 1)),
            (True, ("way_out", "blue", ("g1", "g2"), True)),
            (True, ("gateway", "g1", "h1")),
            (True, ("gateway", "g2", "h2")),
            (True, ("known", "n0", True)),
            (True, ("public", "203.0.113.21")),
            (True, ("outside", "198.51.100.0/24")),
            (True, ("server", "h1", 2)),
            (True, ("server", "h1", 0)),
            (True, ("network", "blue", 1)),
            (True, ("way_out", "blue", ("g2",), False)),
            (True, ("gateway", "g2", "h1")),
            (True, ("known", "n0", False)),
            (False, ("gateway", "g2", "")),
            (True, ("way_out", "blue", None, False)),
        ]
    )


def test_a_history_of_connections():
    check(
        [
            (True, ("gateway", "g1", "h1")),
            (True, ("way_out", "blue", ("g1",), False)),
            (True, ("leads", "blue", 2, True)),
            (True, ("pool", False)),
            (True, ("pool", True)),
            (True, ("side", "vips", 1, 77)),
            (True, ("leads", "blue", 1, False)),
            (True, ("side", "side", 0, 77)),
            (True, ("side", "side", 1, 77)),
            (True, ("leads", "blue", 3, True)),
            (True, ("network", "blue", 1, "")),
            (True, ("server", "h1", 3)),
            (True, ("raze", "blue")),
        ]
    )


def test_a_history_of_what_a_host_and_its_machines_are():
    check(
        [
            (True, ("interface", "n0", "blue", 1, 1)),
            (True, ("interface", "n1", "blue", 2, 1)),
            (True, ("interface", "n2", "Red", 0, 1)),
            (True, ("interface", "n3", "Red", 2, 2)),
            (True, ("machine", "m1", "h1", {"n0", "n1", "n2", "n3"})),
            (True, ("made", "m1", 512, "")),
            (True, ("made", "m1", 512, "7")),
            (True, ("managed", "H2", ("10.0.0.1",), True)),
            (True, ("power", "m1", "Running")),
            (True, ("move", "m1", "H2", "preparing")),
            (True, ("move", "m1", "H2", "switching")),
            (True, ("managed", "H2", (), False)),
            (True, ("server", "h1", 3)),
            (True, ("shares", "several")),
            (True, ("shares", "")),
        ]
    )


def test_a_history_beside_the_provider_network():
    """What a guest of the same untagged frames may not play."""
    check(
        [
            (True, ("shop", "n0", 1, 1)),
            (True, ("shop", "n1", 0, 2)),
            (True, ("machine", "m1", "h1", {"n0", "n1"})),
            (True, ("fabric", "192.168.1.0/25")),
            (True, ("fabric", "172.16.0.0/24")),
        ]
    )


def test_a_history_of_rewriting():
    check(
        [
            (True, ("interface", "n0", "blue", 1, 1)),
            (True, ("interface", "n1", "blue", 0, 2)),
            (True, ("stand", "h1", "n0", 0, True)),
            (True, ("own_protocol", "blue", "Rewrite")),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("machine", "M2", "H2", {"n1"})),
            (True, ("power", "m1", "Running")),
            (True, ("power", "M2", "Running")),
            (True, ("power", "M2", "Off")),
            (False, ("stand", "H2", "n1", 0, True)),
            (True, ("power", "m1", "Off")),
            (True, ("stand", "h1", "n0", 2, True)),
            (True, ("power", "m1", "Running")),
            (True, ("power", "M2", "Running")),
            (True, ("settings", "n1", 4)),
            (True, ("move", "m1", "H2", "preparing")),
            (True, ("move", "m1", "H2", "switched")),
            (True, ("move", "m1", "H2", "done")),
            (True, ("own_protocol", "blue", "NVGRE")),
            (False, ("own_protocol", "blue", "Rewrite")),
            (True, ("server", "H2", 2)),
            (True, ("settings", "n1", 0)),
            (True, ("server", "h1", 0)),
            (True, ("own_protocol", "blue", "")),
        ]
    )


def test_a_history_of_provider_addresses():
    check(
        [
            (True, ("interface", "n0", "blue", 0, 1)),
            (True, ("interface", "n1", "Red", 0, 2)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("power", "m1", "Running")),
            (True, ("subnet_address", "h1", "blue", "web", True)),
            (True, ("subnet_address", "H2", "Red", "web", True)),
            (True, ("machine", "M2", "H2", {"n1"})),
            (True, ("peer", "blue", 1, False)),
            (True, ("peer", "Red", 1, False)),
            (True, ("readdressed", "h1", "preparing")),
            (True, ("readdressed", "h1", "switched")),
            (True, ("move", "m1", "H2", "preparing")),
            (True, ("subnet_address", "H2", "blue", "web", True)),
            (True, ("move", "m1", "H2", "switched")),
            (True, ("move", "m1", "H2", "done")),
            (False, ("readdressed", "h1", "")),
            (True, ("subnet_address", "h1", "blue", "web", False)),
            (True, ("server", "H2", 2)),
            (True, ("policy", "H2", "several")),
            (True, ("subnet_address", "H2", "blue", "web", False)),
            (True, ("network", "blue", 1, "")),
            (True, ("server", "H2", 1)),
            (True, ("peer", "Red", 0, False)),
        ]
    )


def test_a_history_of_subnets_that_become_a_pair():
    check(
        [
            (True, ("interface", "n0", "blue", 1, 1)),
            (True, ("machine", "m1", "h1", {"n0"})),
            (True, ("power", "m1", "Running")),
            (True, ("subnet_address", "h1", "blue", "web", True)),
            (True, ("pair", "blue", "Six")),
            (True, ("network", "blue", 0, "")),
            (True, ("pair", "blue", "web")),
        ]
    )
