"""Where an interface's addresses come from: strategy, server, reservation; and when it gets them."""

from typing import Any

import pytest

from tests.unit.core.life import WEB, Life, events, waiting_interface
from tests.unit.core.world import dynamic_interface, put_command, static_interface
from weft.core.commands import BeginMove, Reserve, SetPower

W = "/networkInterfaces/w"


@pytest.fixture
def world() -> Life:
    world = Life()
    world.host_range()
    return world


def mac(world: Life, name: str = "w") -> str | None:
    found: str | None = world.get(f"/networkInterfaces/{name}").properties.private_mac_address
    return found


@pytest.mark.parametrize("asked", ["hostRange", "HOSTRANGE"])
def test_an_interface_waits_for_its_host(world: Life, asked: str) -> None:
    stored = world.put(W, dynamic_interface(strategy=asked)).resource
    assert (stored.properties.strategy, stored.properties.private_mac_address) == ("hostRange", None)
    assert world.ip(3) == ("assigned", ["w"])
    assert world.put(W, waiting_interface()).outcome == "unchanged"
    world.machine("db1", None, "Off", "w")
    assert mac(world) is None
    assert world.refuses(SetPower("db1", "Running")).target == "server"


@pytest.mark.parametrize("way", ["put", "move", "named", "created"])
def test_it_is_granted_when_it_is_known_where_it_will_be(world: Life, way: str) -> None:
    if way == "named":
        world.put(W, waiting_interface(server={"resourceRef": "/servers/h2"}))
        assert world.get(W).properties.server.resource_ref == "/servers/h2"
    else:
        world.put(W, waiting_interface())
        world.machine("db1", "h2" if way == "created" else None, "Off", "w")
    if way == "put":
        world.machine("db1", "h2", "Off", "w")
    elif way == "move":
        world.do(BeginMove("db1", "h2"))
    assert mac(world) == "02555D031000"
    lease = world.mac_lease("02555D031000")
    assert lease is not None
    assert (lease.holders[0].domain, lease.holders[0].granted) == (WEB.lower(), True)
    # for life, wherever it goes
    world.machine("db1", "h1", "Off", "w")
    assert mac(world) == "02555D031000"


def test_the_history_says_that_it_was_granted_then(world: Life) -> None:
    world.put(W, waiting_interface())
    command = put_command(
        "/weft/virtualMachines/db1",
        {"server": {"resourceRef": "/servers/h2"}, "networkInterfaces": [{"resourceRef": W}]},
    )
    assert events(world.do(command)) == [("granted", "db1", "h2"), ("moved", "db1", "h2")]


def test_put_under_a_machine_that_has_its_server(world: Life) -> None:
    world.put(W, waiting_interface())
    world.machine("db1", None, "Off", "w")
    world.put(W, dynamic_interface())
    assert mac(world) == "020000000001", "it waits for nothing any more"
    world.put("/networkInterfaces/v", waiting_interface(server={"resourceRef": "/servers/h1"}))
    assert mac(world, "v") == "02555D030000"
    stored = world.put(
        "/networkInterfaces/u", dynamic_interface(strategy="central", server={"resourceRef": "/servers/h1"})
    ).resource
    assert (stored.properties.server, stored.properties.strategy) == (None, "")


def test_a_host_without_a_range_cannot_have_it(world: Life) -> None:
    old = world.get("/servers/h2").properties
    world.put("/servers/h3", {"networkInterfaces": [], "providerAddresses": []})
    world.put(W, waiting_interface())
    refs = [{"resourceRef": W}]
    body: dict[str, Any] = {"networkInterfaces": refs, "server": {"resourceRef": "/servers/h3"}}
    assert world.refused("/weft/virtualMachines/db1", body).code == "NoHostRange"
    assert old.mac_range is not None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"strategy": "best"}, "InvalidParameterValue"),
        ({"strategy": "hostRange", "server": {"resourceRef": "/servers/none"}}, "InvalidResourceReference"),
        ({"reservation": {"resourceRef": "/weft/reservations/none"}}, "InvalidResourceReference"),
    ],
)
def test_a_wrong_origin_is_refused(world: Life, more: dict[str, Any], code: str) -> None:
    assert world.refused(W, dynamic_interface(**more)).code == code


def test_random_is_from_the_same_pools(world: Life) -> None:
    world.put(W, dynamic_interface(strategy="random"))
    assert world.get(W).properties.strategy == "random"
    assert (mac(world) or "").startswith("0200000000")
    assert world.counts("/macpools/p1") == {"assigned": 2, "free": 254}


def test_a_reservation_gives_to_those_who_name_it_and_has_it_back(world: Life) -> None:
    world.do(Reserve("/macPools/p1", 2, contiguous=True, purpose="printers", request_id="r1"))
    named = {"resourceRef": "/weft/reservations/r1"}
    assert world.refused("/networkInterfaces/s", static_interface("020000000001")).code == "PrivateMacAddressInUse"
    world.put(W, dynamic_interface(reservation=named))
    assert (mac(world), world.mac(1)) == ("020000000001", ("assigned", ["r1", "w"]))
    assert world.get(W).properties.reservation.resource_ref == "/weft/reservations/r1"
    world.put("/networkInterfaces/s", static_interface("020000000002") | {"reservation": named})
    assert world.mac(2) == ("assigned", ["r1", "s"])
    assert world.refused("/networkInterfaces/t", dynamic_interface(reservation=named)).code == "ReservationIsEmpty"
    world.delete("/networkInterfaces/s")
    assert world.mac(2) == ("reserved", ["r1"])
    world.delete("/weft/reservations/r1")
    assert world.put(W, dynamic_interface(reservation=named)).outcome in ("unchanged", "replaced")
    world.delete(W)
    assert world.mac(1)[0] == "cooling"


def test_another_server_of_a_machine_changes_nothing_stored(world: Life) -> None:
    world.put(W, waiting_interface(server={"resourceRef": "/servers/h1"}))
    assert world.put(W, waiting_interface(server={"resourceRef": "/servers/h1"})).outcome == "unchanged"
    assert world.put(W, waiting_interface(server={"resourceRef": ""})).outcome == "replaced"
    assert world.get(W).properties.server is None
