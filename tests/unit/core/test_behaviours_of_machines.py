"""How other allocators were found to behave well or badly over the life of machines, held to ours.

The ids and what does not apply are explained in test_behaviours_of_pools.py.
"""

from collections.abc import Iterator

import pytest

from tests.property.life.test_life import loaded
from tests.unit.core.world import World, dynamic_interface, put_command, static_interface
from weft.core.commands import MarkMachine, NoteSeen, ReleaseAddress, Seen, SetPower
from weft.core.conflicts import conflicts
from weft.core.copy_commands import Clone, ImportedInterface, ImportMachine, Restore, TakeCheckpoint
from weft.core.policy import host_stream
from weft.core.state import State
from weft.model.leases import MAC_SCOPE
from weft.model.records import PortBinding
from weft.model.values import parse_mac

WEB = "/virtualNetworks/blue/subnets/web"


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    made.network()
    yield made


def mac(world: World, name: str) -> str:
    return str(world.get(f"/networkInterfaces/{name}").properties.private_mac_address)


def machine(world: World, name: str, power: str = "Off", server: str = "h1") -> str:
    """One with an interface NAME-eth0; its MAC address."""
    world.interface(f"{name}-eth0")
    world.machine(name, server, power, f"{name}-eth0")
    return mac(world, f"{name}-eth0")


def kinds(state: State) -> list[str]:
    return [one.kind for one in conflicts(state)]


def test_s21_a_put_without_mac_keeps_it_and_interfaces_come_go_and_swap(world: World) -> None:
    first = machine(world, "m")
    world.put("/networkInterfaces/m-eth0", dynamic_interface(WEB, tags={"a": "b"}))
    second = world.interface("m-eth1").properties.private_mac_address
    world.machine("m", "h1", "Off", "m-eth0", "m-eth1")
    world.machine("m", "h1", "Off", "m-eth1", "m-eth0")
    assert (mac(world, "m-eth0"), mac(world, "m-eth1")) == (first, second)
    world.machine("m", "h1", "Off", "m-eth1")
    lease = world.mac_lease(first)
    assert lease is not None
    assert lease.state == "assigned"


def test_s22_a_reboot_is_no_collision(world: World) -> None:
    machine(world, "m")
    for power in ("Running", "Off", "Running", "Saved", "Running"):
        world.power("m", power)
    assert kinds(world.state) == []


def test_s23_a_migration_is_no_collision_but_a_third_machine_is(world: World) -> None:
    machine(world, "m", "Running")
    world.do(Clone("m", "third", "keep"))
    world.move("m", "h2")
    world.advance("m", "switching")
    assert kinds(world.state) == []
    assert world.refuses(SetPower("third", "Running")).code == "ActiveTwin"
    world.advance("m", "switched")
    assert world.refuses(SetPower("third", "Running")).code == "ActiveTwin"
    assert kinds(world.state) == []


def test_s24_a_dry_run_leaves_no_trace(world: World) -> None:
    machine(world, "m")
    world.do(TakeCheckpoint("m", "k"))
    before = loaded(world.state)
    for command in (
        put_command("/networkInterfaces/n", dynamic_interface()),
        Clone("m", "c"),
        Restore("m", "k", "captured", "remap"),
        ImportMachine("i", "h1", (ImportedInterface("0A-00-00-00-00-01", ("10.1.1.77",), WEB),)),
    ):
        assert world.decide(command).outcome in ("created", "done", "unchanged")
        assert world.state == before


def test_s26_a_rollback_to_what_is_so_changes_nothing(world: World) -> None:
    machine(world, "m", "Running")
    world.do(TakeCheckpoint("m", "k"))
    done = world.do(Restore("m", "k"))
    assert ([one.outcome for one in done.report], done.changes) == (["kept"], ())


@pytest.mark.parametrize("power", ["Off", "Saved"])
def test_s26_a_rollback_brings_back_what_it_captured(world: World, power: str) -> None:
    """Of a checkpoint with memory or without: what counts are the addresses."""
    was = machine(world, "m", "Running")
    world.do(TakeCheckpoint("m", "k"))
    world.power("m", "Off")
    world.machine("m", "h1", "Off")
    world.delete("/networkInterfaces/m-eth0")
    done = world.do(Restore("m", "k"))
    assert [one.outcome for one in done.report] == ["restored"]
    assert mac(world, "m-eth0") == was


def test_s26_a_rollback_that_clashes_gets_a_fresh_address_and_says_so(world: World) -> None:
    was = machine(world, "m")
    world.do(TakeCheckpoint("m", "k"))
    world.do(Clone("m", "twin", "keep"))
    world.power("twin", "Running")
    assert world.refuses(Restore("m", "k")).code == "AddressesTaken"
    done = world.do(Restore("m", "k", "captured", "remap"))
    assert [one.outcome for one in done.report] == ["remapped"]
    assert mac(world, "m-eth0") != was
    granted = [change for change in done.changes if getattr(change, "event", "") == "granted"]
    assert any("checkpoints/k" in change.reason for change in granted)


def test_s28_a_removed_interfaces_mac_waits_for_its_checkpoint(world: World) -> None:
    was = machine(world, "m")
    world.do(TakeCheckpoint("m", "k"))
    world.machine("m", "h1", "Off")
    world.delete("/networkInterfaces/m-eth0")
    world.wait(100_000)
    lease = world.mac_lease(was)
    assert lease is not None
    assert lease.state == "retained"
    assert was not in {world.interface(f"n{i}").properties.private_mac_address for i in range(15)}
    world.delete("/weft/virtualMachines/m/checkpoints/k")
    lease = world.mac_lease(was)
    assert lease is not None
    assert lease.state == "cooling"


def test_s29_duplicates_inside_a_batch_and_with_what_is_there_are_refused(world: World) -> None:
    """There is nothing to move between pools: an address belongs to the range that it lies in."""
    one, two = "0A-00-00-00-00-01", "0A:00:00:00:00:01"
    pair = (
        put_command("/networkInterfaces/a", static_interface(one, None)),
        put_command("/networkInterfaces/b", static_interface(two, None)),
    )
    with pytest.raises(Exception, match="0A-00-00-00-00-01"):
        world.batch(*pair)
    world.batch(pair[0])
    with pytest.raises(Exception, match="/networkInterfaces/a"):
        world.batch(pair[1])


def test_s30_duplicates_that_run_already_are_taken_in_and_named_but_make_no_rule(world: World) -> None:
    twin = (ImportedInterface("0A-00-00-00-00-01", ("10.1.1.50",), WEB),)
    for name, server in (("a", "h1"), ("b", "h2")):
        world.do(ImportMachine(name, server, twin, "keep", "Running", adopt=True))
    assert "activeTwin" in kinds(world.state)
    assert world.refused("/networkInterfaces/c", static_interface("0A-00-00-00-00-01")).code == "PrivateMacAddressInUse"
    world.power("b", "Off")
    assert "activeTwin" not in kinds(world.state)
    assert world.refuses(SetPower("b", "Running")).code == "ActiveTwin"


def test_s36_a_restart_keeps_the_ip_and_another_subnet_gives_another(world: World) -> None:
    world.network("red", "10.2.1.0/24")
    machine(world, "m", "Running")

    def ip() -> str:
        (configuration,) = world.get("/networkInterfaces/m-eth0").properties.ip_configurations
        return str(configuration.properties.private_ip_address)

    was = ip()
    world.power("m", "Off")
    world.power("m", "Running")
    assert ip() == was == "10.1.1.2"
    world.power("m", "Off")
    world.put("/networkInterfaces/m-eth0", dynamic_interface("/virtualNetworks/red/subnets/web"))
    assert ip() == "10.2.1.2"
    assert world.counts(f"{WEB.lower()}/4")["cooling"] == 1


def test_s38_a_mac_set_by_hand_on_a_machine_that_is_off_is_passed_over(world: World) -> None:
    world.put("/networkInterfaces/m-eth0", static_interface("02-00-00-00-00-00", None))
    world.machine("m", "h1", "Off", "m-eth0")
    assert world.interface("n").properties.private_mac_address == "020000000001"


def test_s39_no_address_is_never_a_duplicate(world: World) -> None:
    """Machines made elsewhere that never ran have none, or zeros; a batch does not clash with itself either."""
    empty = (ImportedInterface("", (), WEB), ImportedInterface("00-00-00-00-00-00", (), WEB))
    world.do(ImportMachine("a", "h1", empty))
    world.do(ImportMachine("b", "h1", empty))
    assert len({mac(world, f"{name}-eth{n}") for name in "ab" for n in (0, 1)}) == 4
    assert kinds(world.state) == []


@pytest.mark.parametrize("text", ["0a-00-00-00-00-0b", "0A:00:00:00:00:0B", "0a00.0000.000b", "0A000000000B"])
def test_s40_a_duplicate_is_one_in_any_notation(world: World, text: str) -> None:
    world.put("/networkInterfaces/a", static_interface("0A-00-00-00-00-0B", None))
    assert world.refused("/networkInterfaces/b", static_interface(text, None)).code == "PrivateMacAddressInUse"
    world.do(ImportMachine("i", "h1", (ImportedInterface(text, (), WEB),), "newIfTaken"))
    assert mac(world, "i-eth0") != "0A000000000B"


def test_s42_a_collision_is_found_again_after_a_restart(world: World) -> None:
    was = machine(world, "m", "Running")
    world.do(NoteSeen("h2", (Seen(parse_mac(was), "vnet9"),)))
    assert kinds(world.state) == ["foreign"]
    assert list(conflicts(loaded(world.state))) == list(conflicts(world.state))


def test_s44_a_conflict_is_there_for_as_long_as_it_lasts(world: World) -> None:
    was = machine(world, "m", "Running")
    assert kinds(world.state) == []
    world.do(NoteSeen("h2", (Seen(parse_mac(was), "vnet9"),)))
    assert kinds(world.state) == ["foreign"]
    world.do(NoteSeen("h2", ()))
    assert kinds(world.state) == []


def test_s47_a_machine_deleted_while_no_controller_ran_keeps_its_address_until_somebody_decides(world: World) -> None:
    was = machine(world, "m", "Running")
    world.state = loaded(world.state)
    world.do(MarkMachine("m", "deleted outside on h1"))
    assert was not in {world.interface(f"n{i}").properties.private_mac_address for i in range(15)}
    world.do(ReleaseAddress(MAC_SCOPE, parse_mac(was), "it is gone"))
    world.wait(3600)
    assert world.interface("next").properties.private_mac_address == was


def test_s52_what_cools_is_the_last_owners_alone(world: World) -> None:
    """Early release needs a reason, which goes into the history; the list of what cools is the pool's."""
    was = machine(world, "m")
    world.delete("/weft/virtualMachines/m")
    world.delete("/networkInterfaces/m-eth0")
    refusal = world.refused("/networkInterfaces/other", static_interface(was, None))
    assert (refusal.code, "can be had in" in refusal.message) == ("PrivateMacAddressInUse", True)
    world.put("/networkInterfaces/m-eth0", static_interface(was))
    world.delete("/networkInterfaces/m-eth0")
    done = world.do(ReleaseAddress(MAC_SCOPE, parse_mac(was), "switches cleared"))
    (change,) = [one for one in done.changes if getattr(one, "scope", "") == MAC_SCOPE]
    assert (change.event, "switches cleared" in change.reason) == ("released", True)
    world.put("/networkInterfaces/other", static_interface(was, None))


def test_s55_an_interface_added_to_a_running_machine_has_one_mac_everywhere(world: World) -> None:
    """What the host is told to plug is what is stored: there is no second place in which it could differ."""
    machine(world, "m", "Running")
    added = world.interface("m-eth1").properties.private_mac_address
    world.machine("m", "h1", "Running", "m-eth0", "m-eth1")
    records = host_stream(world.state, "h1").values()
    macs = {one.network_interface: one.mac for one in records if isinstance(one, PortBinding)}
    assert f"{macs['m-eth1']:012X}" == added
