"""What agents see on their switches: foreign addresses, conflicts with ours, and what is no news."""

from typing import Any

import pytest

from tests.unit.core.world import World, static_interface
from weft.core.changes import LeaseChange
from weft.core.commands import Decision, NoteSeen, Reserve, Seen
from weft.core.conflicts import conflicts, conflicts_of
from weft.model.leases import Holder
from weft.model.values import Mac, mac_dashes

MAC = 0x020000000003


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    world.network("blue")
    return world


def see(world: World, *seen: Seen, server: str = "h1") -> Decision:
    return world.do(NoteSeen(server, seen))


def port(mac: int = MAC, name: str = "vnet3", **more: Any) -> Seen:
    return Seen(Mac(mac), name, **more)


def lease_of(world: World, mac: int = MAC) -> Any:
    return world.mac_lease(mac_dashes(mac))


def test_a_free_address_that_is_seen_is_foreign_and_given_to_nobody(world: World) -> None:
    decision = see(world, port())
    change = decision.changes[0]
    assert isinstance(change, LeaseChange)
    assert (change.event, change.host) == ("seen", "h1")
    assert lease_of(world).holders == (Holder("port", "/servers/h1/ports/vnet3"),)
    assert world.counts("/macpools/p1") == {"foreign": 1, "free": 15}
    assert "is foreign: /servers/h1/ports/vnet3 has it" in (
        world.refused("/networkInterfaces/n1", static_interface("020000000003", None)).message
    )
    assert see(world, port()).outcome == "unchanged"
    assert conflicts(world.state) == []


def test_a_foreign_address_that_goes_cools_if_it_lies_in_a_pool(world: World) -> None:
    see(world, port(), port(0x101010101105, "vnet4"))
    decision = see(world)
    assert {one.event for one in decision.changes} == {"unseen"}
    assert world.counts("/macpools/p1") == {"cooling": 1, "free": 15}
    assert lease_of(world, 0x101010101105) is None
    assert see(world).outcome == "unchanged"


def test_an_assigned_address_stays_assigned_and_is_a_conflict(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("020000000003", None))
    world.machine("m1", "h1", "Off", "n1")
    see(world, port(), server="h2")
    assert lease_of(world).state == "assigned"
    (found,) = conflicts(world.state)
    assert (found.kind, found.address) == ("foreign", "02-00-00-00-00-03")
    assert found.holders == ("/networkInterfaces/n1", "/servers/h2/ports/vnet3")
    assert found.command == "weft vm renew-mac m1 --nic n1 --force"
    assert conflicts_of(world.state, "M1") == [found]
    see(world, server="h2")
    assert conflicts(world.state) == []
    assert lease_of(world).state == "assigned"


def test_an_interface_of_no_machine_has_no_command_to_give(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("020000000003", None))
    see(world, port())
    assert [one.command for one in conflicts(world.state)] == [""]


def test_what_is_learnt_of_an_interface_of_ours_is_no_news(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("020000000003", None))
    assert see(world, port(learnt=True)).outcome == "unchanged"
    world.delete("/networkInterfaces/n1")
    assert see(world, port(learnt=True)).outcome == "unchanged"
    assert lease_of(world).state == "cooling"
    world.wait(3600)
    assert see(world, port(learnt=True)).outcome == "done"
    assert lease_of(world).state == "foreign"


def test_an_address_that_cools_and_is_seen_on_a_port_is_foreign(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("020000000003", None))
    world.delete("/networkInterfaces/n1")
    see(world, port())
    assert lease_of(world).state == "foreign"
    assert world.state.cooling_ends() is None


@pytest.mark.parametrize("mac", [0xFFFFFFFFFFFF, 0, 0x025745465401])
def test_addresses_that_nobody_has_are_passed_over(world: World, mac: int) -> None:
    assert see(world, port(mac)).outcome == "unchanged"


def test_a_servers_own_adapter_is_no_news_and_anothers_on_a_port_is(world: World) -> None:
    body = {"networkInterfaces": [{"resourceId": "nic1", "properties": {"mac": "00-25-90-00-00-01"}}]}
    world.put("/servers/h3", body)
    mac = 0x002590000001
    assert see(world, port(mac), server="h3").outcome == "unchanged"
    assert see(world, port(mac, learnt=True), server="h1").outcome == "unchanged"
    see(world, port(mac), server="h1")
    (found,) = conflicts(world.state)
    assert (found.kind, found.holders) == ("foreign", ("/servers/h3", "/servers/h1/ports/vnet3"))
    world.put("/servers/h3", {})
    assert conflicts(world.state) == []
    assert lease_of(world, mac).state == "foreign"


def test_a_server_that_is_not_there_sees_nothing_and_has_seen_nothing(world: World) -> None:
    see(world, port(), server="h2")
    assert see(world, port(), server="none").outcome == "unchanged"


def test_one_address_on_two_ports_is_named_with_both(world: World) -> None:
    see(world, port(), port(name="vnet4"))
    see(world, port(name="tap0"), server="h2")
    found = conflicts(world.state)
    assert len(found) == 3
    assert {one.kind for one in found} == {"foreign"}
    see(world, port(name="vnet4"))
    (left,) = conflicts(world.state)
    assert set(left.holders) == {"/servers/h1/ports/vnet4", "/servers/h2/ports/tap0"}


def test_a_port_is_in_the_subnet_that_its_adapters_carry(world: World) -> None:
    lan = {"resourceId": "lan", "properties": {"vlanID": 7, "addressPrefix": "172.16.0.0/24"}}
    raw = {"resourceId": "raw", "properties": {"addressPrefix": "172.16.1.0/24"}}
    world.put("/logicalNetworks/office", {"subnets": [lan, raw]})
    refs = [{"resourceRef": f"/logicalNetworks/{one}"} for one in ("hnvpa/subnets/pa1", "office/subnets/lan")]
    refs.append({"resourceRef": "/logicalNetworks/office/subnets/raw"})
    body = {"networkInterfaces": [{"resourceId": "nic1", "properties": {"logicalSubnets": refs}}]}
    world.put("/servers/h1", body)
    world.put("/networkInterfaces/n1", static_interface("020000000003"))
    see(world, port(vlan=7))
    assert lease_of(world).holders[-1].domain == "/logicalnetworks/office/subnets/lan"
    assert conflicts(world.state) == [], "a VLAN and a virtual subnet cannot meet"
    see(world, port(vlan=8))
    assert lease_of(world).holders[-1].domain == ""
    (found,) = conflicts(world.state)
    assert found.l2_domain == "/virtualNetworks/blue/subnets/web"
    see(world, port())
    assert [one.domain for one in lease_of(world).holders if one.kind == "port"] == [""]
    see(world, port(0x101010101105, learnt=True))
    assert lease_of(world, 0x101010101105).holders[0].domain == "/logicalnetworks/office/subnets/raw"


def test_a_pool_without_cool_down_has_a_foreign_address_back_at_once(world: World) -> None:
    body = {"startMacAddress": "020000000000", "endMacAddress": "02000000000F", "coolDownSeconds": 0}
    world.put("/macPools/p1", body)
    see(world, port())
    see(world)
    assert lease_of(world) is None


def test_what_is_reserved_stays_reserved_when_it_is_seen(world: World) -> None:
    world.do(Reserve("/macPools/p1", 4, request_id="r1"))
    see(world, port())
    assert lease_of(world).state == "reserved"
    assert world.counts("/macpools/p1") == {"reserved": 4, "free": 12}
    world.delete("/weft/reservations/r1")
    assert world.counts("/macpools/p1") == {"foreign": 1, "free": 15}


def test_what_switches_learn_of_one_stranger_is_noted_once_and_is_no_clash(world: World) -> None:
    for server in ("h1", "h2"):
        see(world, port(name="eth1", learnt=True), server=server)
    assert [one.ref for one in lease_of(world).holders] == ["/servers/h1/ports/eth1"]
    assert conflicts(world.state) == []
    moved = (port(name="eth0", learnt=True), port(name="eth1", learnt=True))
    assert see(world, *moved).outcome == "unchanged", "where it was, and not back and forth"
    see(world)
    see(world, port(name="eth1", learnt=True), server="h2")
    assert [one.ref for one in lease_of(world).holders] == ["/servers/h2/ports/eth1"]


def test_a_port_that_was_given_an_address_stands_before_what_is_learnt_of_it(world: World) -> None:
    see(world, port(name="eth1", learnt=True), server="h2")
    see(world, port(name="eth1", learnt=True), port())
    assert see(world, port(name="eth1", learnt=True), server="h2").changes
    assert [one.ref for one in lease_of(world).holders] == ["/servers/h1/ports/vnet3"]
    assert conflicts(world.state) == []


def test_of_addresses_that_nothing_is_said_of_nothing_changes(world: World) -> None:
    see(world, port(), port(MAC + 1, "vnet4"))
    decision = world.do(NoteSeen("h1", (), frozenset({MAC})))
    assert [one.address for one in decision.changes if isinstance(one, LeaseChange)] == [MAC]
    assert lease_of(world).state == "cooling"
    assert lease_of(world, MAC + 1).state == "foreign"
