"""The bitmap tree against a plain set, over random series of takes, releases, fills and questions."""

from hypothesis import given
from hypothesis import strategies as st

from weft.core.space import LEAF_WIDTH, Space

SIZES = st.sampled_from([1, 7, 255, LEAF_WIDTH - 1, LEAF_WIDTH, LEAF_WIDTH + 1, 3 * LEAF_WIDTH + 5])
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "release", "fill", "gap"]), st.integers(0, 1 << 20), st.integers(0, 1 << 20)),
    max_size=40,
)


def longest_run(taken: set[int], size: int) -> int:
    best = run = 0
    for number in range(size):
        run = 0 if number in taken else run + 1
        best = max(best, run)
    return best


def first_run(taken: set[int], size: int, count: int) -> int | None:
    run = 0
    for number in range(size):
        run = 0 if number in taken else run + 1
        if run == count:
            return number - count + 1
    return None


def first_at(taken: set[int], at: int, size: int, wanted: bool) -> int | None:
    return next((number for number in range(at, size) if (number in taken) is wanted), None)


@given(SIZES, STEPS)
def test_a_space_is_a_set_of_numbers(size: int, steps: list[tuple[str, int, int]]) -> None:
    space, taken = Space(size), set[int]()
    for verb, one, other in steps:
        at = one % size
        if verb == "take":
            found = space.next_free(at)
            assert found == first_at(taken, at, size, False)
            if found is not None:
                space.take(found)
                taken.add(found)
        elif verb == "release":
            found = space.next_used(at)
            assert found == first_at(taken, at, size, True)
            if found is not None:
                space.release(found)
                taken.remove(found)
        elif verb == "fill":
            last = min(size - 1, at + other % (size + LEAF_WIDTH))
            space.take_range(at, last)
            taken.update(range(at, last + 1))
        else:
            assert space.largest_gap() == longest_run(taken, size)
            count = 1 + other % (size + 1)
            assert space.first_gap(count) == first_run(taken, size, count)
        assert space.used == len(taken)
    assert [n for first, last in space.used_ranges() for n in range(first, last + 1)] == sorted(taken)
    free = {n for first, last in space.free_ranges() for n in range(first, last + 1)}
    assert free == set(range(size)) - taken
    assert space.largest_gap() == longest_run(taken, size)
    rebuilt = Space(size)
    for number in taken:
        rebuilt.take(number)
    assert rebuilt == space


Intervals = list[tuple[int, int]]


def gap_of(ranges: Intervals, size: int) -> int:
    best, at = 0, 0
    for first, last in sorted(ranges):
        best, at = max(best, first - at), max(at, last + 1)
    return max(best, size - at)


def gap_start(ranges: Intervals, size: int, count: int) -> int | None:
    at = 0
    for first, last in [*sorted(ranges), (size, size)]:
        if first - at >= count:
            return at
        at = max(at, last + 1)
    return None


@given(
    st.sampled_from([1 << 20, 1 << 28, (1 << 36) + 12345, 1 << 64]),
    st.lists(
        st.tuples(
            st.integers(0, (1 << 64) - 1), st.sampled_from([1, 4096, 1 << 12, 1 << 20, 1 << 21, 1 << 30]), st.booleans()
        ),
        max_size=12,
    ),
)
def test_ranges_of_huge_spaces(size: int, fills: list[tuple[int, int, bool]]) -> None:
    space = Space(size)
    ranges: Intervals = []
    for at, width, aligned in fills:
        first = at % size
        if aligned:
            first -= first % width
        last = min(size - 1, first + width - 1)
        space.take_range(first, last)
        ranges.append((first, last))
        largest = gap_of(ranges, size)
        assert space.largest_gap() == largest
        assert space.first_gap(largest + 1) is None
        for count in {1, width, largest} - {0}:
            assert space.first_gap(count) == gap_start(ranges, size, count)
        assert first in space and last in space
    total, reach = 0, -1
    for first, last in sorted(ranges):
        total += max(0, last - max(first, reach + 1) + 1)
        reach = max(reach, last)
    assert space.used == total
    assert sum(last - first + 1 for first, last in space.free_ranges()) == size - total
    for first, _ in ranges:
        if first in space:
            space.release(first)
            assert first not in space
            assert space.next_free(first) == first
