"""Reading an inventory, its faults, how full ranges are, and the order of findings."""

import jsonschema
import msgspec
import pytest

from tests.unit.core.audit.world import checkpoint, host, inventory, machine, nic, report
from weft.core.audit.findings import SEVERITIES, listed
from weft.core.audit.report import audit
from weft.core.audit.survey import InvalidInventory
from weft.model.inventory import Inventory, schema

A = "00-15-5D-01-00-00"


def faults(raw: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInventory) as caught:
        audit(msgspec.convert(raw, Inventory))
    return list(caught.value.faults)


def test_every_fault_is_told_with_its_place() -> None:
    range_cursor = {"name": "n3", "dynamicMacRange": {"first": A, "last": A, "cursor": "?"}}
    nics = [nic("nonsense", ipAddresses=["10.0.0.1", "10.0.0.256"])]
    found = faults(
        {
            "hosts": [
                host("n1"),
                host("N1"),
                host("n2", "00-15-5D-00-00-FF", "00-15-5D-00-00-00", addresses=["x"]),
                range_cursor,
            ],
            "machines": [machine("a", "n1", *nics, checkpoints=[checkpoint("c", nic("zz"))])],
            "macPools": [{"name": "p", "first": "1", "last": "00-00-00-00-00-00"}],
        }
    )
    assert [place for place, _ in found] == [
        "hosts[1].name",
        "hosts[2].dynamicMacRange.last",
        "hosts[2].addresses[0]",
        "hosts[3].dynamicMacRange.cursor",
        "machines[0].interfaces[0].mac",
        "machines[0].interfaces[0].ipAddresses[1]",
        "machines[0].checkpoints[0].interfaces[0].mac",
        "macPools[0].first",
    ]
    assert "'nonsense': it is not a MAC address" in found[4][1]


def test_the_error_names_the_first_and_counts_the_rest() -> None:
    with pytest.raises(InvalidInventory) as caught:
        report([], [machine("a", "", nic("x"), nic("y"))])
    assert caught.value.target == "machines[0].interfaces[0].mac"
    assert caught.value.message.endswith("(and 1 more)")
    with pytest.raises(InvalidInventory, match=r"00-1D-D8-B7-1C-00\.$"):
        report([], [machine("a", "", nic("x"))])


def test_an_empty_inventory_is_clean() -> None:
    found = report([], [])
    assert (found.findings, found.ranges, found.summary.machines) == ((), (), 0)


def test_findings_come_by_severity() -> None:
    found = report(
        [host("n1", "00-15-5D-01-00-00", "00-15-5D-01-00-FF"), host("n2", "00-15-5D-02-00-00", "00-15-5D-02-00-FF")],
        [machine("a", "n1", nic("00-15-5D-02-00-01")), machine("b", "n2", nic("00-15-5D-02-00-01"))],
    )
    severities = [SEVERITIES.index(one.severity) for one in found.findings]
    assert severities == sorted(severities)
    assert (found.summary.critical, found.summary.warning) == (1, 1)


def test_how_full_a_range_is_and_what_is_free() -> None:
    hosts = [host("n1", "00-15-5D-01-00-00", "00-15-5D-01-00-FF"), host("n2")]
    hosts.append(host("n3", "00-15-5D-09-00-00", "00-15-5D-09-00-01"))
    machines = [
        machine("own", "n1", nic("00-15-5D-01-00-00")),
        machine("away", "n2", nic("00-15-5D-01-00-02"), checkpoints=[checkpoint("c", nic("00-15-5D-01-00-40"))]),
        machine("a", "n1", nic("00-15-5D-01-00-FF")),
        machine("b", "n1", nic("00-15-5D-01-00-FF")),
    ]
    pool = {"name": "all", "first": "00-15-5D-01-00-00", "last": "00-15-5D-01-01-FF"}
    first, third, whole = report(hosts, machines, [pool]).ranges
    assert (first.owner, first.kind, first.capacity, first.used, first.free) == ("n1", "host", 256, 4, 252)
    assert (first.away, first.captured, first.duplicates) == (1, 1, 1)
    assert first.free_ranges[:2] == (
        ("00-15-5D-01-00-01", "00-15-5D-01-00-01"),
        ("00-15-5D-01-00-03", "00-15-5D-01-00-3F"),
    )
    assert (len(first.cells), first.cells[0], first.cells[1], first.cells[32], first.cells[127]) == (
        128,
        "used",
        "away",
        "captured",
        "duplicate",
    )
    assert (third.used, third.free_ranges, third.cells) == (
        0,
        (("00-15-5D-09-00-00", "00-15-5D-09-00-01"),),
        ("free", "free"),
    )
    assert (whole.kind, whole.away, whole.used, whole.cells[1]) == ("pool", 0, 4, "free")


def test_many_gaps_are_cut_short_and_the_strongest_of_a_piece_shows() -> None:
    nics = [machine(f"m{at}", "n1", nic(f"00-15-5D-01-00-{at:02X}")) for at in range(0, 64, 2)]
    away = machine("z", "n2", nic("00-15-5D-01-00-01", vlan=1))
    (use,) = report([host("n1", "00-15-5D-01-00-00", "00-15-5D-01-00-FF")], [*nics, away]).ranges
    assert len(use.free_ranges) == 8
    assert use.cells[0] == "away"


def test_names_are_listed() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(list("abc")), listed(list("abcdefg"))] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b, c, d, e and 2 more",
    ]


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    good = msgspec.json.decode(msgspec.json.encode(inventory([host("n1")], [machine("a", "n1", nic("x", vlan=3))])))
    assert validator.is_valid(good)
    assert not validator.is_valid({"machines": [{"name": "a", "interface": []}]})
    assert not validator.is_valid({"machines": [{"name": "a", "power": "on"}]})
