"""PUT and DELETE of macPools: what is refused, with which code, and what happens to leases."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface
from weft.core.ledger import warnings_for


def pool(first: str, last: str, **more: Any) -> dict[str, Any]:
    return {"startMacAddress": first, "endMacAddress": last, **more}


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("02-00-00-00-00-10", "02-00-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("", "02-00-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("02-00-00-00-00-10", "02:00-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("01-00-00-00-00-00", "01-00-00-00-00-0F", "MacPoolContainsMulticastAddresses"),
        ("02-00-00-00-00-00", "03-00-00-00-00-00", "MacPoolContainsMulticastAddresses"),
        ("02-00-00-00-00-00", "04-00-00-00-00-00", "MacPoolContainsMulticastAddresses"),
        ("FF-FF-FF-FF-FF-FF", "FF-FF-FF-FF-FF-FF", "MacPoolContainsMulticastAddresses"),
        ("00-00-00-00-00-00", "00-00-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("00-00-5E-00-01-00", "00-00-5E-00-01-FF", "InvalidMacAddressForMacPool"),
        ("00-00-5D-00-00-00", "00-00-5F-00-00-00", "InvalidMacAddressForMacPool"),
        ("00-00-0C-07-AC-05", "00-00-0C-07-AC-05", "InvalidMacAddressForMacPool"),
        ("00-00-0C-9F-F0-00", "00-00-0C-9F-F0-00", "InvalidMacAddressForMacPool"),
        ("00-05-73-A0-00-01", "00-05-73-A0-00-01", "InvalidMacAddressForMacPool"),
        ("00-07-B4-00-01-01", "00-07-B4-00-01-01", "InvalidMacAddressForMacPool"),
        ("02-BF-00-00-00-00", "02-BF-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("02-10-00-00-00-00", "02-10-00-00-00-0F", "InvalidMacAddressForMacPool"),
        ("02-57-45-46-54-3F", "02-57-45-46-55-00", "InvalidMacAddressForMacPool"),
    ],
)
def test_a_pool_with_addresses_that_nobody_may_have_is_refused(first: str, last: str, code: str) -> None:
    world = World()
    assert world.refused("/macPools/p1", pool(first, last)).code == code


def test_the_first_group_address_of_a_pool_is_named() -> None:
    refusal = World().refused("/macPools/p1", pool("02-AB-00-00-00-00", "06-00-00-00-00-00"))
    assert "03-00-00-00-00-00 the first" in refusal.message


def test_a_pool_of_one_address_is_fine_and_is_stored_with_dashes() -> None:
    world = World()
    stored = world.put("/macPools/p1", pool("0200.0000.00aa", "02:00:00:00:00:AA")).resource.properties
    assert (stored.start_mac_address, stored.end_mac_address) == ("02-00-00-00-00-AA",) * 2
    assert world.counts("/macpools/p1") == {"free": 1}


def test_pools_that_overlap_are_refused_by_name() -> None:
    world = World()
    world.put("/macPools/First", pool("02-00-00-00-00-10", "02-00-00-00-00-20"))
    refusal = world.refused("/macPools/p2", pool("02-00-00-00-00-00", "02-00-00-00-00-10"))
    assert refusal.code == "MacPoolsOverlap"
    assert "/macPools/First" in refusal.message
    world.put("/macPools/p2", pool("02-00-00-00-00-00", "02-00-00-00-00-0F"))


def test_start_and_end_are_fixed_and_the_rest_is_not() -> None:
    world = World()
    world.put("/macPools/p1", pool("02-00-00-00-00-10", "02-00-00-00-00-20"))
    refusal = world.refused("/macPools/p1", pool("02-00-00-00-00-10", "02-00-00-00-00-21"))
    assert refusal.code == "InvalidMacAddressForMacPool"
    assert world.put("/macPools/P1", pool("020000000010", "020000000020")).outcome == "unchanged"
    assert world.put("/macPools/p1", pool("020000000010", "020000000020", coolDownSeconds=5)).outcome == "replaced"


@pytest.mark.parametrize("seconds", [-1, 367 * 86_400])
def test_a_cool_down_out_of_bounds_is_refused(seconds: int) -> None:
    refusal = World().refused("/macPools/p1", pool("020000000010", "020000000020", coolDownSeconds=seconds))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "coolDownSeconds")


@pytest.mark.parametrize(
    ("first", "last"),
    [("020000000009", "020000000011"), ("020000000010", "020000000021"), ("020000000012", "020000000011"), ("x", "")],
)
def test_an_exclusion_outside_of_the_pool_is_refused(first: str, last: str) -> None:
    excluded = [{"first": first, "last": last}]
    refusal = World().refused("/macPools/p1", pool("020000000010", "020000000020", excluded=excluded))
    assert refusal.target == "excluded"


def test_exclusions_are_reserved_never_granted_and_can_be_cleared() -> None:
    world = World()
    excluded = [{"first": "020000000011", "last": "020000000012", "reason": "old SAN"}, {"first": "020000000013"}]
    world.put("/macPools/p1", pool("020000000010", "020000000014", excluded=excluded))
    assert world.counts("/macpools/p1") == {"free": 2, "reserved": 3}
    macs = [world.interface(f"n{i}", None).properties.private_mac_address for i in range(2)]
    assert macs == ["020000000010", "020000000014"]
    full = world.refused("/networkInterfaces/n3", dynamic_interface(None))
    assert full.code == "MacPoolIsFull"
    assert "2 assigned, 3 reserved" in full.message
    refusal = world.refused("/networkInterfaces/n3", static_interface("02-00-00-00-00-12", None))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "old SAN" in refusal.message
    world.put("/macPools/p1", pool("020000000010", "020000000014"))
    assert world.counts("/macpools/p1") == {"free": 3, "assigned": 2}
    assert world.interface("n3", None).properties.private_mac_address == "020000000011"


def test_excluding_an_address_under_a_live_user_leaves_it_to_him_and_to_nobody_after() -> None:
    world = World()
    world.put("/macPools/p1", pool("020000000010", "020000000011", coolDownSeconds=0))
    world.interface("n1", None)
    excluded = [{"first": "020000000010", "last": "020000000010"}]
    world.put("/macPools/p1", pool("020000000010", "020000000011", coolDownSeconds=0, excluded=excluded))
    assert world.counts("/macpools/p1") == {"free": 1, "assigned": 1}
    world.delete("/networkInterfaces/n1")
    assert world.counts("/macpools/p1") == {"free": 1, "reserved": 1}


def test_an_excluded_address_that_cools_down_is_refused_to_its_last_holder_too() -> None:
    world = World()
    world.put("/macPools/p1", pool("020000000010", "020000000011", coolDownSeconds=60))
    world.put("/networkInterfaces/n1", static_interface("020000000010", None))
    excluded = [{"first": "020000000010", "reason": "printer"}]
    world.put("/macPools/p1", pool("020000000010", "020000000011", coolDownSeconds=60, excluded=excluded))
    world.delete("/networkInterfaces/n1")
    assert world.counts("/macpools/p1") == {"free": 1, "cooling": 1}
    refusal = world.refused("/networkInterfaces/n1", static_interface("020000000010", None))
    assert (refusal.code, "printer" in refusal.message) == ("PrivateMacAddressInUse", True)


def test_a_pool_without_its_bounds_is_told_which_are_required() -> None:
    refusal = World().refused("/macPools/p1", {})
    assert "startMacAddress is required" in refusal.message
    refusal = World().refused("/macPools/p1", pool("020000000010", "020000000011", excluded=[{}]))
    assert "excluded of each range: first is required" in refusal.message


def test_a_pool_in_use_cannot_be_deleted_and_names_a_holder() -> None:
    world = World()
    world.put("/macPools/p1", pool("020000000010", "020000000020"))
    world.interface("n1", None)
    refusal = world.refused_delete("/macPools/p1")
    assert refusal.code == "InUseMacPoolCannotBeDeleted"
    assert "1 of the addresses of /macPools/p1 is assigned" in refusal.message
    assert "/networkInterfaces/n1" in refusal.message


def test_a_pool_whose_leases_only_cool_can_be_deleted_and_they_cool_on() -> None:
    world = World()
    world.put("/macPools/p1", pool("020000000010", "020000000011"))
    world.interface("n1", None)
    world.delete("/networkInterfaces/n1")
    world.delete("/macPools/p1")
    assert world.mac_lease("020000000010") is not None
    world.put("/macPools/p2", pool("020000000010", "020000000012"))
    assert world.counts("/macpools/p2") == {"free": 2, "cooling": 1}
    world.wait(3601)
    assert world.counts("/macpools/p2") == {"free": 3}


def test_a_static_address_outside_every_pool_is_counted_once_a_pool_covers_it() -> None:
    world = World()
    world.put("/networkInterfaces/n1", static_interface("00-15-5D-00-00-05", None))
    world.put("/macPools/p1", pool("00-15-5D-00-00-04", "00-15-5D-00-00-06"))
    assert world.counts("/macpools/p1") == {"free": 2, "assigned": 1}
    macs = [world.interface(f"d{i}", None).properties.private_mac_address for i in range(2)]
    assert macs == ["00155D000004", "00155D000006"]


def test_grants_go_on_from_the_last_one_and_carry_into_the_next_octet() -> None:
    world = World()
    world.put("/macPools/p1", pool("0200000000FE", "020000000101", coolDownSeconds=0))
    names = [f"n{i}" for i in range(3)]
    assert [world.interface(n, None).properties.private_mac_address[-4:] for n in names] == ["00FE", "00FF", "0100"]
    world.delete("/networkInterfaces/n0")
    assert world.interface("n3", None).properties.private_mac_address[-4:] == "0101"
    assert world.interface("n4", None).properties.private_mac_address[-4:] == "00FE"


def test_grants_come_from_the_first_pool_by_id_that_has_room() -> None:
    world = World()
    world.put("/macPools/b", pool("020000000010", "020000000010"))
    world.put("/macPools/a", pool("020000000020", "020000000020"))
    macs = [world.interface(f"n{i}", None).properties.private_mac_address for i in range(2)]
    assert macs == ["020000000020", "020000000010"]
    refusal = world.refused("/networkInterfaces/n3", dynamic_interface(None))
    assert refusal.message.count("1 assigned") == 2


def test_without_a_pool_a_dynamic_interface_is_refused_and_says_so() -> None:
    refusal = World().refused("/networkInterfaces/n1", dynamic_interface(None))
    assert refusal.code == "MacPoolIsFull"
    assert "no pool" in refusal.message


def test_a_full_pool_says_when_the_next_cool_down_ends() -> None:
    world = World()
    world.put("/macPools/p1", pool("020000000010", "020000000010", coolDownSeconds=60))
    world.interface("n1", None)
    world.delete("/networkInterfaces/n1")
    refusal = world.refused("/networkInterfaces/n2", dynamic_interface(None))
    assert "1 cooling" in refusal.message
    assert "in 60 s" in refusal.message


@pytest.mark.parametrize(
    ("first", "last", "word"),
    [
        ("06-00-00-00-00-00", "06-00-00-00-00-0F", "x6"),
        ("0A-00-00-00-00-00", "0A-00-00-00-00-0F", "xA"),
        ("0E-00-00-00-00-00", "0E-00-00-00-00-0F", "xE"),
        ("00-15-5D-00-00-00", "00-15-5D-00-00-FF", "Hyper-V"),
        ("00-1D-D8-B7-1B-FF", "00-1D-D8-B7-1C-00", "Microsoft"),
        ("00-50-56-40-00-00", "00-50-56-40-00-00", "VMware"),
        ("52-54-00-00-00-00", "52-54-00-00-00-FF", "KVM"),
        ("02-42-00-00-00-00", "02-42-00-00-00-FF", "Docker"),
    ],
)
def test_a_pool_in_anothers_range_is_accepted_with_a_warning(first: str, last: str, word: str) -> None:
    stored = World().put("/macPools/p1", pool(first, last)).resource
    assert [text for text in warnings_for(stored) if word in text]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("02-AA-00-00-00-00", "02-AA-00-00-00-FF"),
        ("00-1D-D8-B7-1C-00", "00-1D-D8-F4-1F-FF"),
        ("00-50-56-00-00-00", "00-50-56-3F-FF-FF"),
        ("40-1D-D8-B7-1D-00", "40-1D-D8-F8-1D-FF"),
    ],
)
def test_a_pool_of_ones_own_has_no_warning(first: str, last: str) -> None:
    assert warnings_for(World().put("/macPools/p1", pool(first, last)).resource) == []
