"""Ranges of hosts and pools: equal, overlapping, made of one address, full."""

from typing import Any

import pytest

from tests.unit.core.audit.world import codes, host, machine, nic, only, report
from weft.core.audit.stabbing import Ranges, clusters

A = ("00-15-5D-03-05-00", "00-15-5D-03-05-FF")


def test_equal_ranges_are_critical_and_all_but_one_get_a_range_of_their_own() -> None:
    found = report([host("n1", *A), host("n2", *A), host("n3", *A)], [])
    one = only(found, "rangesEqual")
    assert (one.severity, one.hosts) == ("critical", ("n1", "n2", "n3"))
    assert one.commands == (
        "Set-VMHost -ComputerName 'n2' -MacAddressMinimum 00155DF00000 -MacAddressMaximum 00155DF00FFF",
        "Set-VMHost -ComputerName 'n3' -MacAddressMinimum 00155DF01000 -MacAddressMaximum 00155DF01FFF",
    )


@pytest.mark.parametrize(
    ("addresses", "bounds", "cause"),
    [
        ((["10.1.3.5"], ["10.2.3.5"]), A, "end alike (.3.5)"),
        ((["10.1.3.5"], ["10.2.3.6"]), A, "one image"),
        (([], []), A, "one image"),
        ((["10.1.3.5"], ["10.2.3.5"]), ("00-15-5D-03-05-00", "00-15-5D-03-06-FF"), "by hand"),
    ],
)
def test_the_cause_of_equal_ranges_is_told(addresses: Any, bounds: Any, cause: str) -> None:
    hosts = [host(f"n{at}", *bounds, addresses=each) for at, each in enumerate(addresses)]
    assert cause in only(report(hosts, []), "rangesEqual").remedy


def test_overlapping_ranges_are_told_once_for_all_that_hang_together() -> None:
    hosts = [
        host("plan", "00-15-5D-03-00-00", "00-15-5D-03-0F-FF"),
        host("default", *A),
        host("other", "00-15-5D-03-0F-FF", "00-15-5D-03-1F-FF"),
        host("apart", "00-15-5D-04-00-00", "00-15-5D-04-00-FF"),
    ]
    one = only(report(hosts, []), "rangesOverlap")
    assert set(one.hosts) == {"plan", "default", "other"}
    assert one.address == "00-15-5D-03-00-00 to 00-15-5D-03-1F-FF"
    assert len(one.commands) == 2


def test_a_pool_that_a_host_draws_from() -> None:
    pool = {"name": "vmm", "first": "00-15-5D-03-05-80", "last": "00-15-5D-03-06-00"}
    one = only(report([host("n1", *A)], [], [pool]), "rangeOverlapsPool")
    assert (one.severity, one.hosts, len(one.commands)) == ("critical", ("n1",), 1)
    assert "pool vmm" in one.summary


def test_a_pool_equal_to_a_range_or_to_another_pool() -> None:
    pools = [{"name": name, "first": A[0], "last": A[1]} for name in ("x", "y")]
    assert codes(report([host("n1", *A)], [], pools[:1])) == ["rangeOverlapsPool"]
    assert codes(report([], [], pools)) == ["rangeOverlapsPool"]
    assert codes(report([], [], pools[:1])) == []


def test_hosts_of_other_kinds_get_no_command_and_a_full_block_no_proposal() -> None:
    hosts = [{**host(name, *A), "type": "vmware"} for name in ("n1", "n2")]
    assert only(report(hosts, []), "rangesEqual").commands == ()
    whole = {"name": "all", "first": "00-15-5D-00-00-00", "last": "00-15-5D-FF-FF-FF"}
    found = report([host("n1", "00-15-5C-00-00-00", "00-15-5C-00-00-FF"), host("n2", *A), host("n3", *A)], [], [whole])
    assert only(found, "rangesEqual").commands == ()


def test_spares_avoid_what_anything_has() -> None:
    taken = [nic("02-57-00-00-00-00", "static", vlan=9), nic("02-57-00-00-00-02", "static", vlan=8)]
    pool = {"name": "p", "first": "02-57-00-00-00-03", "last": "02-57-00-00-00-04"}
    twins = [machine(name, "n1", nic("02-00-00-00-00-01", "static")) for name in "abc"]
    saved = {"name": "c", "interfaces": [nic("02-57-00-00-00-05", "static")]}
    owner = machine("x", "n1", *taken, checkpoints=[saved])
    one = only(report([host("n1")], [owner, *twins], [pool]), "duplicateMac")
    changed = [line.rpartition(" ")[2] for line in one.commands if "StaticMac" in line]
    assert changed == ["'02-57-00-00-00-01'", "'02-57-00-00-00-06'"]


def test_hosts_without_known_range_whose_addresses_end_alike() -> None:
    hosts = [host("n1", addresses=["10.1.3.5", "2001:db8::5"]), host("n2", addresses=["10.2.3.5"])]
    one = only(report(hosts, []), "sameAddressTail")
    assert (one.severity, one.hosts, one.address) == ("warning", ("n1", "n2"), f"{A[0]} to {A[1]}")
    assert codes(report([hosts[0], host("n2", *A)], [])) == ["sameAddressTail"]
    told = [host("n1", *A, addresses=["10.1.3.5"]), host("n2", "00-15-5D-F1-00-00", "00-15-5D-F1-0F-FF")]
    assert codes(report([told[0], {**told[1], "addresses": ["10.2.3.5"]}], [])) == []
    others = [{"name": name, "type": "libvirt", "addresses": [f"10.{name}.3.5"]} for name in ("1", "2")]
    assert codes(report(others, [])) == []


def test_a_range_that_was_made_of_an_address_the_host_does_not_have() -> None:
    one = only(report([host("n1", *A, addresses=["10.1.9.9"])], []), "rangeOfAnotherAddress")
    assert (one.severity, one.hosts) == ("notice", ("n1",))
    assert ".3.5" in one.summary
    assert codes(report([host("n1", *A, addresses=["10.1.3.5"]), host("n2")], [])) == []


def filled(count: int, off: int = 0) -> list[dict[str, Any]]:
    return [
        machine(f"m{at}", "n1", nic(f"00-15-5D-03-05-{at:02X}", vlan=at), power="off" if at < off else "running")
        for at in range(count)
    ]


def test_a_range_that_is_nearly_full() -> None:
    hosts = [host("n1", *A), host("n2", "00-15-5D-09-00-00", "00-15-5D-09-00-FF")]
    assert codes(report(hosts, filled(204))) == []
    one = only(report(hosts, filled(205)), "rangeNearlyFull")
    assert (one.severity, one.summary) == ("warning", "n1 has used 205 of the 256 addresses of its range.")
    assert one.commands == (
        "Set-VMHost -ComputerName 'n1' -MacAddressMinimum 00155D030500 -MacAddressMaximum 00155D0324FF",
    )


def test_a_full_range_names_whose_addresses_would_be_taken() -> None:
    one = only(report([host("n1", *A)], filled(256, off=2)), "rangeFull")
    assert (one.severity, one.machines) == ("critical", ("m0", "m1"))
    assert "Attempt to access invalid" in one.steps[0]
    assert "m0 and m1" in one.steps[1]
    assert len(only(report([host("n1", *A)], filled(256)), "rangeFull").steps) == 1


def test_where_the_room_behind_a_range_is_taken_it_moves() -> None:
    hosts = [host("n1", *A), host("n2", "00-15-5D-03-06-00", "00-15-5D-03-06-FF")]
    assert "00155DF00000" in only(report(hosts, filled(220)), "rangeNearlyFull").commands[0]
    end = [host("n1", "00-15-5D-FF-FF-FF", "00-15-5D-FF-FF-FF")]
    found = report(end, [machine("a", "n1", nic("00-15-5D-FF-FF-FF"))])
    assert "00155DF00000" in only(found, "rangeFull").commands[0]


def test_ranges_know_who_holds_a_number() -> None:
    ranges = Ranges([((10, 20), "a"), ((15, 15), "b"), ((30, 40), "c")])
    assert [ranges.holding(at) for at in (9, 10, 15, 16, 21, 40, 41)] == [
        (),
        ("a",),
        ("a", "b"),
        ("a",),
        (),
        ("c",),
        (),
    ]
    assert [ranges.touching(*span) for span in ((0, 9), (0, 10), (16, 16), (21, 29), (25, 30), (41, 50))] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]


def test_clusters_hang_together_by_overlaps() -> None:
    assert list(clusters([(1, 2), (2, 3), (5, 6), (7, 9), (8, 8), (7, 9)])) == [[(1, 2), (2, 3)], [(7, 9), (8, 8)]]


def test_a_range_that_came_with_an_image_may_be_made_anew_by_the_host_itself() -> None:
    for hosts, code in (
        ([host("n1", *A), host("n2", *A)], "rangesEqual"),
        ([host("n1", *A, addresses=["10.1.9.9"])], "rangeOfAnotherAddress"),
    ):
        remedy = only(report(hosts, []), code).remedy
        assert "registry values MinimumMacAddress and MaximumMacAddress" in remedy
        assert "vmms is restarted" in remedy
    # a host of another kind has no registry, and one whose address ends like another's makes the same range again
    others = [host(name, *A, type="other") for name in ("n1", "n2")]
    alike = [host(name, *A, addresses=[ip]) for name, ip in (("n1", "10.1.3.5"), ("n2", "10.2.3.5"))]
    for hosts in (others, alike):
        assert "registry" not in only(report(hosts, []), "rangesEqual").remedy


def test_what_is_proposed_goes_round_pools_of_millions_and_full_blocks_at_once() -> None:
    """vSphere's block for addresses set by hand may all be somebody's pool."""
    everything = {"name": "p", "first": "00-50-56-00-00-00", "last": "00-50-56-3F-FF-FF"}
    local = {"name": "q", "first": "02-57-00-00-00-00", "last": "02-57-7F-FF-FF-FF"}
    twins = [machine(name, "esx1", nic("00-50-56-80-00-01", "static")) for name in "ab"]
    found = report([{"name": "esx1", "type": "vmware"}], twins, [everything, local])
    assert "'02:57:80:00:00:00'" in " ".join(only(found, "duplicateMac").commands)
