"""How other allocators were found to behave well or badly, held to ours: pools, ranges, exclusions, subnets.

The ids are those of the list that they were gathered in; what machines do is in test_behaviours_of_machines.py. Where
ours differs on purpose the test's words say so. Not applicable, and why:

| id | why |
|---|---|
| S20, threads | one writer decides everything in turn |
| S43 | nothing can opt out of the ledger; what it does not manage is foreign, see test_seen.py |
| S48 | a time: the bench START measures a million interfaces |
| S55, first half | a clone takes no list of addresses |
"""

from collections.abc import Iterator

import pytest

from tests.unit.core.world import World, dynamic_interface, put_command, static_interface, virtual_network
from weft.core.commands import EndCoolDowns, Reserve
from weft.model.values import Now

WEB = "/virtualNetworks/blue/subnets/web"
SIX = "/virtualNetworks/blue/subnets/six"


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.fabric(("02-00-00-00-00-FE", "02-00-00-00-01-01"))
    made.network()
    yield made


def mac(world: World, name: str, **more: object) -> str:
    return str(world.interface(name, None, **more).properties.private_mac_address)


def pool(first: str, last: str, **more: object) -> dict[str, object]:
    return {"startMacAddress": first, "endMacAddress": last, **more}


def test_s1_the_next_address_carries_and_wraps_at_the_top(world: World) -> None:
    macs = [mac(world, f"n{i}") for i in range(4)]
    assert macs == ["0200000000FE", "0200000000FF", "020000000100", "020000000101"]
    world.delete("/networkInterfaces/n1")
    world.wait(3600)
    assert mac(world, "again") == "0200000000FF"


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("02-00-00-00-00-10", "02-00-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("03-00-00-00-00-00", "03-00-00-00-00-0F", "MacPoolContainsMulticastAddresses"),
        ("02-FF-FF-FF-FF-00", "03-00-00-00-00-0F", "MacPoolContainsMulticastAddresses"),
        ("02-00-00-00-00", "02-00-00-00-00-0F", "InvalidMacAddressForMacPool"),
    ],
)
def test_s2_impossible_ranges_are_refused(first: str, last: str, code: str) -> None:
    assert World().refused("/macPools/p", pool(first, last)).code == code


def test_s2_s20_a_pool_of_one_address_is_a_pool() -> None:
    world = World()
    world.put("/macPools/p", pool("02-00-00-00-00-07", "02-00-00-00-00-07"))
    assert mac(world, "a") == "020000000007"
    assert world.refused("/networkInterfaces/b", dynamic_interface(None)).code == "MacPoolIsFull"


@pytest.mark.parametrize("bits", range(1, 41))
def test_s3_sizes_are_told_right(bits: int) -> None:
    """Up to 2^40: a larger range always has group addresses in it."""
    world = World()
    world.put("/macPools/p", pool("060000000000", f"{0x060000000000 + 2**bits - 1:012X}"))
    found = world.state.space("/macpools/p")
    assert found is not None
    assert (found.capacity, world.counts("/macpools/p")) == (2**bits, {"free": 2**bits})


def test_s5_a_machine_of_many_interfaces_that_fails_leaves_nothing(world: World) -> None:
    before = world.counts("/macpools/p1")
    names = [f"n{i}" for i in range(5)]
    commands = [put_command(f"/networkInterfaces/{name}", dynamic_interface()) for name in names]
    refs = [{"resourceRef": f"/networkInterfaces/{name}"} for name in names]
    commands.append(put_command("/weft/virtualMachines/m", {"networkInterfaces": refs}))
    with pytest.raises(Exception, match="No address is free"):
        world.batch(*commands)
    assert world.counts("/macpools/p1") == before
    assert not list(world.state.all("networkInterfaces"))


def test_s6_both_ends_of_a_range_are_granted(world: World) -> None:
    assert {mac(world, f"n{i}") for i in range(4)} >= {"0200000000FE", "020000000101"}


def test_s7_what_became_free_in_the_middle_is_granted_last(world: World) -> None:
    """Longest ago first: the address that rested longest meets the fewest stale entries."""
    world.put("/macPools/p1", pool("02-00-00-00-00-FE", "02-00-00-00-01-01", coolDownSeconds=0))
    for i in range(3):
        mac(world, f"n{i}")
    world.delete("/networkInterfaces/n1")
    assert [mac(world, "a"), mac(world, "b")] == ["020000000101", "0200000000FF"]


def test_s8_pools_are_used_one_after_the_other(world: World) -> None:
    """Not in turn: the first with a free address, so that a new range is touched only when it is needed."""
    world.put("/macPools/p2", pool("02-00-00-00-02-00", "02-00-00-00-02-01"))
    macs = [mac(world, f"n{i}") for i in range(6)]
    assert macs[4:] == ["020000000200", "020000000201"]
    assert world.refused("/networkInterfaces/n6", dynamic_interface(None)).code == "MacPoolIsFull"
    world.delete("/networkInterfaces/n0")
    world.wait(3600)
    assert mac(world, "again") == macs[0]


def test_s9_a_random_draw_never_meets_what_is_taken() -> None:
    """No retry that could run out: from where it falls the next free one is taken, until the very last."""
    world = World()
    world.put("/macPools/p", pool("020000000000", "0200000000FF", strategy="random"))
    macs = [mac(world, f"n{i}") for i in range(256)]
    assert sorted(macs) == [f"0200000000{i:02X}" for i in range(256)]
    assert macs != sorted(macs)


@pytest.mark.parametrize("text", ["", "zz", "02-00-00-00-00", "02-00-00-00-00-0G", "020000000000000"])
def test_s10_what_is_no_mac_address_is_refused(world: World, text: str) -> None:
    refusal = world.refused("/networkInterfaces/n", static_interface(text, None))
    assert refusal.code in ("InvalidPrivateMacAddress", "PrivateMacAddressMissing")


def test_s10_a_taken_address_is_refused_at_creation_and_at_change(world: World) -> None:
    taken = mac(world, "a")
    assert world.refused("/networkInterfaces/b", static_interface(taken, None)).code == "PrivateMacAddressInUse"
    world.put("/networkInterfaces/b", static_interface("0A0000000001", None))
    assert world.refused("/networkInterfaces/b", static_interface(taken, None)).code == "PrivateMacAddressInUse"
    assert taken.startswith("02000000")


def excluding(*texts: str) -> dict[str, object]:
    ranges = [dict(zip(("first", "last"), text.split(".."), strict=False)) for text in texts]
    return pool("02-00-00-00-00-FE", "02-00-00-00-01-01", excluded=ranges)


def test_s12_exclusions_with_ranges_come_and_go(world: World) -> None:
    world.put("/macPools/p1", excluding("02-00-00-00-00-FE..02-00-00-00-00-FF", "02-00-00-00-01-01"))
    assert mac(world, "a") == "020000000100"
    assert world.refused("/networkInterfaces/b", dynamic_interface(None)).code == "MacPoolIsFull"
    world.put("/macPools/p1", excluding())
    assert world.counts("/macpools/p1") == {"assigned": 1, "free": 3}
    mac(world, "b")


def test_s12_a_list_that_cannot_be_read_is_refused_and_not_ignored(world: World) -> None:
    assert world.refused("/macPools/p1", excluding("02-00-00-00-00-FE..nonsense")).target
    assert world.counts("/macpools/p1") == {"free": 4}


def test_s12_s13_an_exclusion_takes_nothing_away_but_nothing_comes_back(world: World) -> None:
    """Who has the address keeps it; released and cooled down it is reserved, and nobody's."""
    held = mac(world, "a")
    world.put("/macPools/p1", excluding("02-00-00-00-00-FE"))
    assert world.get("/networkInterfaces/a").properties.private_mac_address == held
    assert world.counts("/macpools/p1") == {"assigned": 1, "free": 3}
    world.delete("/networkInterfaces/a")
    world.wait(3600)
    assert world.counts("/macpools/p1") == {"reserved": 1, "free": 3}
    assert held not in {mac(world, f"n{i}") for i in range(3)}


def dual_stack(world: World, four: str = "10.1.1.0/29", six: str = "fd00::/126") -> None:
    pair = {"dualStackSubnet": {"resourceRef": SIX}}
    world.put("/virtualNetworks/blue", virtual_network({"web": {"addressPrefix": four, **pair}, "six": six}))


def both(**more: object) -> dict[str, object]:
    subnets = [
        {"resourceId": f"ip{n}", "properties": {"subnet": {"resourceRef": ref}}} for n, ref in enumerate((WEB, SIX))
    ]
    return {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": subnets, **more}


def test_s14_s15_where_one_family_is_full_nothing_of_the_other_is_left() -> None:
    world = World()
    world.fabric()
    dual_stack(world)
    for i in range(2):
        world.put(f"/networkInterfaces/n{i}", both())
    counts = {key: world.counts(key) for key in (f"{WEB.lower()}/4", f"{SIX.lower()}/6", "/macpools/p1")}
    refusal = world.refused("/networkInterfaces/n2", both())
    assert (refusal.code, "six" in refusal.message) == ("SubnetIsFull", True)
    assert {key: world.counts(key) for key in counts} == counts
    assert (
        world.get("/networkInterfaces/n0").properties.ip_configurations[0].properties.private_ip_address == "10.1.1.2"
    )


def test_s15_a_full_subnet_of_either_family_leaves_no_mac_behind() -> None:
    world = World()
    world.fabric()
    dual_stack(world, "10.1.1.0/30", "fd00::/126")
    world.interface("n0")
    for subnet in (WEB,):
        before = world.counts("/macpools/p1")
        assert world.refused("/networkInterfaces/n1", dynamic_interface(subnet)).code == "SubnetIsFull"
        assert world.counts("/macpools/p1") == before


def test_s16_asking_again_keeps_the_address(world: World) -> None:
    first = world.interface("n")
    again = world.put("/networkInterfaces/n", dynamic_interface())
    assert (again.outcome, again.changes) == ("unchanged", ())
    assert world.get("/networkInterfaces/n") == first
    more = world.interface("n", tags={"a": "b"})
    assert more.properties.ip_configurations[0].properties == first.properties.ip_configurations[0].properties


def test_s17_a_subnet_that_is_in_use_stays(world: World) -> None:
    world.interface("n")
    assert world.refused_delete(WEB).code == "InUseSubnetCannotBeDeleted"
    world.delete("/networkInterfaces/n")
    world.delete(WEB)


def test_s19_the_order_in_which_things_are_set_up_does_not_matter() -> None:
    """References among the commands of a batch are resolved whatever their order."""
    commands = [
        put_command("/networkInterfaces/n", dynamic_interface()),
        put_command("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24"})),
        put_command("/macPools/p1", pool("020000000000", "0200000000FF")),
        put_command("/logicalNetworks/hnvpa", {"networkVirtualizationEnabled": True}),
    ]
    granted = []
    for order in (commands, commands[::-1]):
        world = World()
        world.batch(*order)
        interface = world.get("/networkInterfaces/n").properties
        granted.append((interface.private_mac_address, interface.ip_configurations[0].properties.private_ip_address))
    assert granted[0] == granted[1] == ("020000000000", "10.1.1.2")


def test_s20_many_small_pools_are_one_supply() -> None:
    world = World()
    for i in range(100):
        world.put(f"/macPools/p{i:03}", pool(f"0200000{i:03}00", f"0200000{i:03}00"))
    assert len({mac(world, f"n{i}") for i in range(100)}) == 100
    assert world.refused("/networkInterfaces/n", dynamic_interface(None)).code == "MacPoolIsFull"


def test_s31_a_pool_in_use_stays_and_pools_never_overlap(world: World) -> None:
    mac(world, "a")
    assert world.refused_delete("/macPools/p1").code == "InUseMacPoolCannotBeDeleted"
    for first, last in (("02-00-00-00-00-00", "02-00-00-00-00-FE"), ("02-00-00-00-01-00", "02-00-00-00-01-00")):
        assert world.refused("/macPools/p2", pool(first, last)).code == "MacPoolsOverlap"


def test_s45_more_room_is_another_pool(world: World) -> None:
    """A range that could be moved under its holders would make addresses that no pool accounts for."""
    wider = pool("02-00-00-00-00-FE", "02-00-00-00-0F-FF")
    assert world.refused("/macPools/p1", wider).code == "InvalidMacAddressForMacPool"
    world.put("/macPools/p2", pool("02-00-00-00-01-02", "02-00-00-00-0F-FF"))
    world.put("/macPools/p1", pool("02-00-00-00-00-FE", "02-00-00-00-01-01", drain=True))
    assert mac(world, "a") == "020000000102"
    world.delete("/macPools/p1")


def test_s49_s50_what_is_free_is_told_per_network_and_family() -> None:
    """Networks with one prefix count apart; gateway, network and broadcast addresses are reserved, not free."""
    world = World()
    world.fabric()
    dual_stack(world)
    world.network("red", "10.1.1.0/29")
    world.put("/networkInterfaces/n", both())
    assert world.counts(f"{WEB.lower()}/4") == {"assigned": 1, "reserved": 3, "free": 4}
    assert world.counts(f"{SIX.lower()}/6") == {"assigned": 1, "reserved": 2, "free": 1}
    assert world.counts("/virtualnetworks/red/subnets/web/4") == {"reserved": 3, "free": 5}


def test_s51_what_has_cooled_is_freed_in_bounded_steps(world: World) -> None:
    for i in range(4):
        mac(world, f"n{i}")
    for i in range(4):
        world.delete(f"/networkInterfaces/n{i}")
    world.now = Now(world.now.ledger + 3599, world.now.wall + 3599)
    assert world.do(EndCoolDowns(3)).outcome == "unchanged"
    world.now = Now(world.now.ledger + 1, world.now.wall + 1)
    for cooling, free in ((1, 3), (0, 4)):
        world.do(EndCoolDowns(3))
        assert world.counts("/macpools/p1") == {k: v for k, v in (("cooling", cooling), ("free", free)) if v}


def test_a_refusal_says_how_many_there_are_and_what_helps(world: World) -> None:
    """Of a drained pool it asked to delete what is not needed, which helps nobody; of too few it said that none is."""
    mac(world, "n0")
    too_many = world.refuses(Reserve("/macPools/p1", 4))
    assert (too_many.code, too_many.message) == (
        "MacPoolIsFull",
        "4 addresses are asked for. No more than 3 can be granted from /macPools/p1 (4 addresses: 1 assigned). "
        "Add a pool, delete what is not needed.",
    )
    world.put("/macPools/p1", pool("02-00-00-00-00-FE", "02-00-00-00-01-01", drain=True))
    drained = world.refused("/networkInterfaces/n1", dynamic_interface(None))
    assert drained.message == (
        "No address is granted from /macPools/p1 (4 addresses: 1 assigned, drained, so it grants nothing). "
        "End the drain (drain false), or add a pool."
    )
