"""Free space of one pool: small examples and huge ones. The model comparison is in tests/property/core."""

import pytest

from weft.core.space import LEAF_WIDTH, Space

HUGE = 1 << 64


@pytest.mark.parametrize("size", [1, 2, 255, LEAF_WIDTH - 1, LEAF_WIDTH, LEAF_WIDTH + 1, 3 * LEAF_WIDTH])
def test_a_space_grants_every_number_once_in_order(size: int) -> None:
    space = Space(size)
    for wanted in range(size):
        assert space.next_free() == wanted
        space.take(wanted)
    assert (space.next_free(), space.used, space.largest_gap()) == (None, size, 0)
    assert list(space.used_ranges()) == [(0, size - 1)]
    assert list(space.free_ranges()) == []
    for number in range(size):
        space.release(number)
    assert space == Space(size)


@pytest.mark.parametrize("bits", [1, 8, 12, 20, 28, 44, 48, 64, 128])
def test_a_space_of_any_size_knows_its_end(bits: int) -> None:
    space = Space(1 << bits)
    last = (1 << bits) - 1
    assert space.largest_gap() == 1 << bits
    space.take(last)
    assert (space.next_free(last), space.next_used(0), space.next_free(0)) == (None, last, 0)
    assert space.next_free(last + 1) is None
    assert space.next_used(last + 1) is None
    assert space.largest_gap() == last
    assert list(space.free_ranges()) == [(0, last - 1)]


@pytest.mark.parametrize("number", [-1, 5, 10, 5000])
def test_taking_what_is_taken_or_outside_is_an_error(number: int) -> None:
    space = Space(10)
    space.take(5)
    with pytest.raises(ValueError):
        space.take(number)
    assert space.used == 1


@pytest.mark.parametrize("number", [-1, 4, 10, 5000])
def test_releasing_what_is_free_or_outside_is_an_error(number: int) -> None:
    space = Space(10)
    space.take(5)
    with pytest.raises(ValueError):
        space.release(number)
    assert space.used == 1


def test_what_a_full_subtree_covers_is_taken() -> None:
    space = Space(HUGE)
    space.take_range(0, (1 << 40) - 1)
    with pytest.raises(ValueError):
        space.take(12345)
    assert 12345 in space
    assert (1 << 40) not in space
    assert space.next_free() == 1 << 40
    space.release(12345)
    assert (space.next_free(), space.used) == (12345, (1 << 40) - 1)
    assert list(space.used_ranges()) == [(0, 12344), (12346, (1 << 40) - 1)]
    space.take(12345)
    whole = Space(HUGE)
    whole.take_range(0, (1 << 40) - 1)
    assert space == whole


def test_the_largest_gap_of_a_huge_space_follows_what_changes() -> None:
    space = Space(HUGE)
    space.take_range(0, (1 << 63) - 1)
    assert space.largest_gap() == 1 << 63
    space.take(1 << 63)
    assert space.largest_gap() == (1 << 63) - 1
    space.take_range((1 << 63) + 100, HUGE - 1)
    assert space.largest_gap() == 99
    space.release(77)
    assert space.largest_gap() == 99
    space.release(1 << 63)
    assert space.largest_gap() == 100
    space.take_range(0, HUGE - 1)
    assert (space.largest_gap(), space.used) == (0, HUGE)


def test_the_first_gap_that_is_wide_enough_is_found_in_a_huge_space() -> None:
    space = Space(HUGE)
    assert space.first_gap(HUGE) == 0
    space.take_range(0, (1 << 40) + 6)
    space.take((1 << 40) + 10)
    space.take((1 << 40) + 5000)
    space.take_range(1 << 41, HUGE - 1)
    begin = (1 << 40) + 7
    assert [space.first_gap(count) for count in (1, 3, 4, 4989, 4990)] == [begin, begin, *[begin + 4] * 2, begin + 4994]
    widest = (1 << 41) - (begin + 4994)
    assert space.first_gap(widest) == begin + 4994
    assert space.first_gap(widest + 1) is None


def test_ranges_are_found_from_a_point_on_and_lazily() -> None:
    space = Space(HUGE)
    for first in range(10, 1 << 20, 1 << 10):
        space.take(first)
    free = space.free_ranges(at=11)
    assert [next(free), next(free)] == [(11, 1033), (1035, 2057)]
    assert next(space.used_ranges(at=11)) == (1034, 1034)
    assert list(space.free_ranges(at=0, until=9)) == [(0, 9)]
    assert list(space.free_ranges(at=10, until=10)) == []


def test_a_space_is_equal_by_content_and_cannot_be_hashed() -> None:
    assert Space(5) != Space(6)
    assert Space(5) != 5
    with pytest.raises(TypeError):
        hash(Space(5))


@pytest.mark.parametrize("numbers", [[], [0], [4095, 4096], list(range(5000)), [3, 4, 9, 70_000, 99_999]])
@pytest.mark.parametrize("asked_before", [False, True])
def test_many_taken_at_once_are_as_if_taken_one_by_one(numbers: list[int], asked_before: bool) -> None:
    one_by_one, at_once = Space(100_000), Space(100_000)
    for space in (one_by_one, at_once):
        space.take(50_000)
        if asked_before:
            space.largest_gap()
    for number in numbers:
        one_by_one.take(number)
    at_once.take_all(numbers)
    assert at_once == one_by_one
    assert at_once.largest_gap() == one_by_one.largest_gap()
