"""Every present clash, with its remedy, and its end."""

from typing import Any

import pytest

from tests.unit.core.subnets import adapters, ref, subnet
from tests.unit.core.world import World, static_interface
from weft.core.commands import MarkMachine
from weft.core.conflicts import Conflict, conflicts, conflicts_of
from weft.core.copy_commands import ImportedInterface, ImportMachine

MAC = "10-10-10-10-11-05"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    world.network("blue")
    return world


def adopt(world: World, name: str, mac: str = MAC, ip: str = "", power: str = "Running", server: str = "h1") -> None:
    subnet = "/virtualNetworks/blue/subnets/web"
    interface = ImportedInterface(mac, (ip,) if ip else (), subnet if ip else "")
    world.do(ImportMachine(name, server, (interface,), power=power, adopt=True))


def kinds(world: World) -> list[str]:
    return [one.kind for one in conflicts(world.state)]


def test_a_quiet_installation_has_none(world: World) -> None:
    world.interface("n1")
    world.machine("m1", "h1", "Running", "n1")
    assert conflicts(world.state) == []
    assert conflicts_of(world.state, "m1") == []
    assert conflicts_of(world.state, "none") == []


def test_two_that_were_adopted_running_are_named_until_one_stops(world: World) -> None:
    adopt(world, "m1")
    adopt(world, "m2", server="h2")
    (found,) = conflicts(world.state)
    assert found == Conflict(
        kind="activeTwin",
        address=MAC,
        l2_domain="",
        holders=("/networkInterfaces/m1-eth0", "/networkInterfaces/m2-eth0"),
        remedy="m1 and m2 both run with it: stop one of them, or give m2 another address.",
        command="weft vm stop m2",
    )
    assert conflicts_of(world.state, "m1") == conflicts_of(world.state, "m2") == [found]
    world.power("m2", "Off")
    assert conflicts(world.state) == []


def test_twins_that_do_not_run_both_are_legal(world: World) -> None:
    adopt(world, "m1")
    adopt(world, "m2", power="Off")
    assert conflicts(world.state) == []
    assert world.state.addresses.notable.contested


def test_of_three_that_run_each_pair_is_named_and_each_machine_has_its_own(world: World) -> None:
    for name in ("m1", "m2", "m3"):
        adopt(world, name)
    assert kinds(world) == ["activeTwin"] * 3
    assert len(conflicts_of(world.state, "m3")) == 2


def test_an_ip_address_in_two_running_machines_is_one_too(world: World) -> None:
    adopt(world, "m1", "10-10-10-10-11-05", "10.1.1.5")
    adopt(world, "m2", "10-10-10-10-11-06", "10.1.1.5")
    (found,) = conflicts(world.state)
    assert (found.kind, found.address) == ("activeTwin", "10.1.1.5")
    assert found.l2_domain == "/virtualNetworks/blue/subnets/web"


def test_domains_that_are_joined_later_make_twins_of_what_was_apart(world: World) -> None:
    for at, name in enumerate(("a", "b")):
        world.put(f"/logicalNetworks/{name}", {"subnets": [subnet("lan", 10, 1)]})
        world.put(f"/networkInterfaces/n{at}", static_interface(MAC, ref(f"{name}/lan"), "172.16.1.5"))
        world.machine(f"m{at}", "h1", "Running", f"n{at}")
    assert conflicts(world.state) == []
    world.put("/servers/s1", adapters("a/lan b/lan"))
    (found,) = conflicts(world.state)
    assert (found.kind, found.address) == ("activeTwin", MAC)
    world.delete("/servers/s1")
    assert conflicts(world.state) == []


def test_a_machine_that_its_host_no_longer_knows_is_drift_of_all_its_addresses(world: World) -> None:
    world.interface("n1")
    world.machine("m1", "h1", "Running", "n1")
    world.do(MarkMachine("m1", "deleted on h1"))
    found = conflicts(world.state)
    assert [(one.kind, one.address) for one in found] == [("drift", "10.1.1.2"), ("drift", "02-00-00-00-00-00")]
    assert "deleted on h1" in found[0].remedy
    assert found[1].command == 'weft address release 02-00-00-00-00-00 --reason "/networkInterfaces/n1 is gone"'
    assert {one.address for one in conflicts_of(world.state, "m1")} == {"10.1.1.2", "02-00-00-00-00-00"}
    world.do(MarkMachine("m1", ""))
    assert conflicts(world.state) == []


def test_drift_of_an_interface_without_subnet_names_no_domain(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface(MAC, None))
    world.machine("m1", "h1", "Off", "n1")
    world.do(MarkMachine("m1", "gone"))
    assert [one.l2_domain for one in conflicts(world.state)] == [""]


# -- ranges of hypervisors


def drawing(world: World, name: str, first: str, last: str, **more: Any) -> None:
    world.put(f"/servers/{name}", {"dynamicMacRange": {"first": first, "last": last}, **more})


def test_hosts_of_one_image_draw_the_same_and_each_but_one_gets_a_range_of_its_own(world: World) -> None:
    for name in ("hv1", "hv2", "hv3"):
        drawing(world, name, "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    found = conflicts(world.state)
    assert [(one.kind, one.address) for one in found] == [
        ("rangeOverlap", "00-15-5D-00-00-00 to 00-15-5D-00-00-FF")
    ] * 2
    assert [one.holders for one in found] == [("/servers/hv1", "/servers/hv2"), ("/servers/hv1", "/servers/hv3")]
    assert [one.command for one in found] == [
        "Set-VMHost -ComputerName 'hv2' -MacAddressMinimum 00155D000100 -MacAddressMaximum 00155D0001FF",
        "Set-VMHost -ComputerName 'hv3' -MacAddressMinimum 00155D000200 -MacAddressMaximum 00155D0002FF",
    ]
    drawing(world, "hv2", "00-15-5D-00-01-00", "00-15-5D-00-01-FF")
    drawing(world, "hv3", "00-15-5D-00-02-00", "00-15-5D-00-02-FF")
    assert conflicts(world.state) == []
    world.put("/servers/hv3", {})
    assert list(world.state.index.servers.drawing) == ["hv1", "hv2"]


def test_what_a_host_shall_draw_from_is_its_proposal_and_nobody_elses(world: World) -> None:
    for name in ("hv1", "hv2", "hv3"):
        drawing(world, name, "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    wanted = {"first": "00-15-5D-00-01-00", "last": "00-15-5D-00-01-FF"}
    own = {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-00-FF"}
    world.put("/servers/hv3", {"dynamicMacRange": own, "wantedDynamicMacRange": wanted})
    ends = [one.command.partition("-MacAddressMinimum ")[2][:12] for one in conflicts(world.state)]
    assert ends == ["00155D000200", "00155D000100"]


def test_a_proposal_passes_over_addresses_that_somebody_has(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("00-15-5D-00-01-07", None))
    for name in ("hv1", "hv2"):
        drawing(world, name, "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    assert "00155D000200" in conflicts(world.state)[0].command


def test_a_long_range_meets_all_that_begin_in_it(world: World) -> None:
    drawing(world, "hv1", "00-15-5D-00-00-00", "00-15-5D-0F-FF-FF")
    drawing(world, "hv2", "00-15-5D-01-00-00", "00-15-5D-01-00-FF")
    drawing(world, "hv3", "00-15-5D-02-00-00", "00-15-5D-02-00-FF")
    drawing(world, "hv4", "00-15-5D-20-00-00", "00-15-5D-20-00-FF")
    assert [one.holders for one in conflicts(world.state)] == [
        ("/servers/hv1", "/servers/hv2"),
        ("/servers/hv1", "/servers/hv3"),
    ]


def test_a_pool_inside_a_hosts_own_range_is_a_clash_with_that_host(world: World) -> None:
    world.put("/macPools/p2", {"startMacAddress": "00155D000010", "endMacAddress": "00155D000020"})
    drawing(world, "hv1", "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    (found,) = conflicts(world.state)
    assert found.holders == ("/macPools/p2", "/servers/hv1")
    assert found.address == "00-15-5D-00-00-10 to 00-15-5D-00-00-20"
    assert "00155D000100" in found.command


def test_a_host_of_a_plan_should_draw_from_its_own_range(world: World) -> None:
    """0.13: a host left on its default range meets what the plan gives others."""
    world.put("/weft/addressPlans/hv", {"hostDigits": 1})
    plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/hv"}, "clusterNumber": 3}
    world.put("/servers/hv1", plan)
    drawing(world, "hv2", "00-15-5D-03-05-00", "00-15-5D-03-05-FF", **plan)
    (found,) = conflicts(world.state)
    assert found.holders == ("/servers/hv1/macRange", "/servers/hv2")
    assert found.command == (
        "Set-VMHost -ComputerName 'hv2' -MacAddressMinimum 00155D031000 -MacAddressMaximum 00155D031FFF"
    )
    drawing(world, "hv2", "00-15-5D-03-10-00", "00-15-5D-03-1F-FF", **plan)
    assert conflicts(world.state) == []
    drawing(world, "hv3", "00-15-5D-08-00-00", "00-15-5D-08-00-FF")
    assert [one.holders for one in conflicts(world.state)] == [("/weft/addressPlans/hv", "/servers/hv3")]
    drawing(world, "hv3", "00-15-5D-03-0F-00", "00-15-5D-03-10-FF")
    assert [one.holders for one in conflicts(world.state)] == [
        ("/servers/hv2/macRange", "/servers/hv3"),
        ("/servers/hv2", "/servers/hv3"),
    ]


def test_two_clashes_of_one_host_offer_one_range(world: World) -> None:
    world.put("/macPools/p2", {"startMacAddress": "00155D000010", "endMacAddress": "00155D000020"})
    for name in ("hv1", "hv2"):
        drawing(world, name, "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    commands = [one.command for one in conflicts(world.state)]
    assert len(commands) == 3
    assert len(set(commands)) == 2


def test_without_a_free_range_there_is_no_command(world: World) -> None:
    drawing(world, "hv1", "00-15-5D-00-00-00", "00-15-5D-FF-FF-FF")
    drawing(world, "hv2", "00-15-5D-00-00-00", "00-15-5D-00-00-FF")
    assert [one.command for one in conflicts(world.state)] == [""]
