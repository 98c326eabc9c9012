"""Keys that come due, and addresses outside of all pools: small tables that others stand on."""

import pytest

from weft.core.deadlines import Deadlines
from weft.core.outside import Outside


def test_keys_come_due_soonest_first_and_are_asked_again() -> None:
    due = Deadlines[str]()
    for key, at in (("c", 30.0), ("a", 10.0), ("b", 20.0)):
        due.put(key, at)
    assert (len(due), due.first()) == (3, 10.0)
    assert due.due(5, 10) == []
    assert due.due(25, 10) == due.due(25, 10) == ["a", "b"]
    assert due.due(99, 1) == ["a"]


def test_a_key_that_moves_or_goes_leaves_no_trace() -> None:
    due, other = Deadlines[str](), Deadlines[str]()
    due.put("a", 10.0)
    due.put("a", 40.0)
    due.put("a", 40.0)
    assert due.due(39, 10) == []
    assert due.due(40, 10) == ["a"]
    due.put("a", None)
    due.put("a", None)
    assert due.first() is None
    assert due == other
    assert due != 5
    with pytest.raises(TypeError):
        hash(due)


def test_a_key_that_comes_back_to_its_time_is_due_once() -> None:
    due = Deadlines[int]()
    due.put(7, 10.0)
    due.put(7, 20.0)
    due.put(7, 10.0)
    assert due.due(99, 10) == [7]
    assert due.due(99, 10) == [7]


def test_addresses_outside_are_found_in_any_range() -> None:
    outside = Outside()
    assert not outside
    for address in (5, 4095, 4096, 1 << 40, (1 << 40) + 5000):
        outside.add(address)
    assert outside
    assert sorted(outside.within(0, 1 << 47)) == [5, 4095, 4096, 1 << 40, (1 << 40) + 5000]
    assert outside.within(6, 4095) == [4095]
    assert outside.within(1 << 40, 1 << 40) == [1 << 40]
    assert outside.within(100, 200) == []
    outside.remove(4096)
    assert outside.within(4096, 8191) == []
    other = Outside()
    assert outside != other
    for address in (5, 4095, 1 << 40, (1 << 40) + 5000):
        outside.remove(address)
    assert outside == other
    assert outside != 5
    with pytest.raises(TypeError):
        hash(outside)
