"""Free space of one pool: which of the numbers 0..size-1 are taken.

Called by core.pools, once per pool and state. A sparse tree: leaves are integers of 4096 bits, an inner
node has 256 children and two masks, which children are wholly taken (`full`) and which have any taken (`some`). A child
that is empty or full is not stored, so 2^64 addresses cost nothing until they are used. All takes O(levels),
at any fill; levels grow with log(size), from 1 (up to 4095 numbers) to 8 (2^64).
"""

from collections.abc import Iterable, Iterator

from weft.core.runs import longest_run, starts_of

LEAF_BITS = 12
LEAF_WIDTH = 1 << LEAF_BITS
_LEAF_MASK = LEAF_WIDTH - 1
_LEAF_FULL = (1 << LEAF_WIDTH) - 1
_NODE_BITS = 8
_NODE_WIDTH = 1 << _NODE_BITS
_NODE_MASK = _NODE_WIDTH - 1
_NODE_FULL = (1 << _NODE_WIDTH) - 1

Gap = tuple[int, int, int]
"""Of a subtree: free run at its start, free run at its end, longest free run."""


class Space:
    """A set of taken numbers below `size`. Two spaces are equal if the same numbers are taken."""

    __slots__ = ("_dirty", "_full", "_gaps", "_height", "_leaves", "_some", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._height = 0
        # strictly wider than size, so that the root is never full
        while 1 << (LEAF_BITS + _NODE_BITS * self._height) <= size:
            self._height += 1
        self._leaves: dict[int, int] = {}
        self._full: tuple[dict[int, int], ...] = tuple({} for _ in range(self._height))
        self._some: tuple[dict[int, int], ...] = tuple({} for _ in range(self._height))
        self._gaps: tuple[dict[int, Gap], ...] | None = None
        self._dirty: set[int] = set()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        mine = (self.size, self.used, self._leaves, self._full, self._some)
        return mine == (other.size, other.used, other._leaves, other._full, other._some)

    def __contains__(self, number: int) -> bool:
        return self.next_used(number) == number

    def take(self, number: int) -> None:
        """Mark a free number as taken. Raises ValueError if it is taken already or outside."""
        index = number >> LEAF_BITS
        leaf = self._leaves.get(index)
        bit = 1 << (number & _LEAF_MASK)
        if leaf is None:
            if not 0 <= number < self.size or self._is_covered(index):
                raise ValueError(number)
            self._raise_some(0, index)
            self._leaves[index] = bit
        elif leaf & bit or number >= self.size:
            raise ValueError(number)
        elif leaf | bit == _LEAF_FULL:
            del self._leaves[index]
            self._raise_full(0, index)
        else:
            self._leaves[index] = leaf | bit
        self.used += 1
        if self._gaps is not None:
            self._dirty.add(index)

    def release(self, number: int) -> None:
        """Mark a taken number as free. Raises ValueError if it is not taken."""
        index = number >> LEAF_BITS
        leaf = self._leaves.get(index)
        if leaf is None:
            if not 0 <= number < self.size or not self._is_covered(index):
                raise ValueError(number)
            self._split(index)
            leaf = _LEAF_FULL
        bit = 1 << (number & _LEAF_MASK)
        if not leaf & bit:
            raise ValueError(number)
        rest = leaf & ~bit
        if rest:
            self._leaves[index] = rest
        else:
            del self._leaves[index]
            self._lower_some(index)
        self.used -= 1
        if self._gaps is not None:
            self._dirty.add(index)

    def take_range(self, first: int, last: int) -> None:
        """Mark all of first..last as taken, whatever was taken before; costs by the gaps filled, not by their width."""
        for low, high in list(self.free_ranges(first, last)):
            self._fill(low, high)

    def take_all(self, numbers: Iterable[int]) -> None:
        """Mark free numbers, in ascending order, as taken: several times faster than one by one."""
        index, bits, count = -1, 0, 0
        for number in numbers:
            if number >> LEAF_BITS != index:
                self._take_bits(index, bits)
                index, bits = number >> LEAF_BITS, 0
            bits |= 1 << (number & _LEAF_MASK)
            count += 1
        self._take_bits(index, bits)
        self.used += count

    def _take_bits(self, index: int, bits: int) -> None:
        if not bits:
            return
        self._fill_leaf(index, bits)
        if self._gaps is not None:
            self._dirty.add(index)

    def next_free(self, at: int = 0) -> int | None:
        """The first free number at or after `at`; None if there is none."""
        leaf = self._leaves.get(at >> LEAF_BITS)
        if leaf is not None:
            # (x + 1) & ~x is the lowest zero of x; past the last taken number x is 0 and this costs next to nothing
            rest = leaf >> (at & _LEAF_MASK)
            found = at + ((rest + 1) & ~rest).bit_length() - 1
            if found >> LEAF_BITS == at >> LEAF_BITS:
                return found if found < self.size else None
        if at >= self.size:
            return None
        seen = self._seek_free(self._height, 0, at)
        return seen if seen is not None and seen < self.size else None

    def next_used(self, at: int = 0) -> int | None:
        """The first taken number at or after `at`; None if there is none."""
        if at >= self.size:
            return None
        return self._seek_used(self._height, 0, at)

    def free_ranges(self, at: int = 0, until: int | None = None) -> Iterator[tuple[int, int]]:
        """Runs of free numbers in first..last form from `at` on, in order, found as they are asked for."""
        stop = self.size - 1 if until is None else until
        first = self.next_free(at)
        while first is not None and first <= stop:
            used = self.next_used(first)
            last = self.size - 1 if used is None else used - 1
            yield first, min(last, stop)
            first = self.next_free(last + 1)

    def used_ranges(self, at: int = 0) -> Iterator[tuple[int, int]]:
        """Runs of taken numbers, as free_ranges."""
        first = self.next_used(at)
        while first is not None:
            free = self.next_free(first)
            last = self.size - 1 if free is None else free - 1
            yield first, last
            first = self.next_used(last + 1)

    def largest_gap(self) -> int:
        """Length of the longest free run. Keeps summaries; only what changed since the last call is looked at."""
        if self._gaps is None:
            self._gaps = tuple({} for _ in range(self._height + 1))
            self._dirty = set(self._leaves)
            self._dirty.update(n << _NODE_BITS * (k + 1) for k, level in enumerate(self._full) for n in level)
        dirty, self._dirty = self._dirty, set()
        for level in range(self._height + 1):
            summaries = self._gaps[level]
            for node in dirty:
                summaries[node] = self._leaf_gap(node) if level == 0 else self._node_gap(level, node)
            dirty = {node >> _NODE_BITS for node in dirty}
        root = self._gaps[self._height].get(0)
        return self.size if root is None else root[2]

    def first_gap(self, count: int) -> int | None:
        """Where the first run of at least `count` free numbers begins; None if there is none. O(levels), with the
        summaries of largest_gap."""
        if self.largest_gap() < count:
            return None
        return self._seek_gap(self._height, 0, count) if self.used else 0

    # -- the tree; level 0 are the leaves, level k >= 1 the inner nodes whose masks stand in _full[k-1] and _some[k-1]

    def _is_covered(self, index: int) -> bool:
        """Whether a leaf that is not stored stands for 4096 taken numbers."""
        child = index
        for full in self._full:
            node = child >> _NODE_BITS
            if full.get(node, 0) >> (child & _NODE_MASK) & 1:
                return True
            child = node
        return False

    def _raise_some(self, level: int, child: int) -> None:
        for some in self._some[level:]:
            node, bit = child >> _NODE_BITS, 1 << (child & _NODE_MASK)
            mask = some.get(node, 0)
            some[node] = mask | bit
            if mask:
                return
            child = node

    def _lower_some(self, child: int) -> None:
        for some in self._some:
            node, bit = child >> _NODE_BITS, 1 << (child & _NODE_MASK)
            mask = some[node] & ~bit
            if mask:
                some[node] = mask
                return
            del some[node]
            child = node

    def _raise_full(self, level: int, child: int) -> None:
        while True:  # ends below the root, which is never full
            full, some = self._full[level], self._some[level]
            node, bit = child >> _NODE_BITS, 1 << (child & _NODE_MASK)
            mask = full.get(node, 0) | bit
            if mask != _NODE_FULL:
                full[node] = mask
                return
            full.pop(node, None)
            del some[node]
            child, level = node, level + 1

    def _split(self, index: int) -> None:
        """Store a leaf that an ancestor counts as full, and the nodes between them."""
        level = 0
        while (
            not self._full[level].get(index >> _NODE_BITS * (level + 1), 0)
            >> (index >> _NODE_BITS * level & _NODE_MASK)
            & 1
        ):
            level += 1
        for depth in range(level, -1, -1):
            node = index >> _NODE_BITS * (depth + 1)
            bit = 1 << (index >> _NODE_BITS * depth & _NODE_MASK)
            if depth == level:
                rest = self._full[depth][node] & ~bit
            else:
                rest = _NODE_FULL & ~bit
                self._some[depth][node] = _NODE_FULL
            if rest:
                self._full[depth][node] = rest
            else:
                del self._full[depth][node]
        self._leaves[index] = _LEAF_FULL

    def _fill(self, first: int, last: int) -> None:
        """Take a run that is wholly free, in the largest aligned blocks that fit."""
        self.used += last - first + 1
        while first <= last:
            index = first >> LEAF_BITS
            if self._gaps is not None:
                self._dirty.add(index)
            if first & _LEAF_MASK or last - first < _LEAF_MASK:
                end = min(last, first | _LEAF_MASK)
                self._fill_leaf(index, ((1 << (end - first + 1)) - 1) << (first & _LEAF_MASK))
                first = end + 1
                continue
            level, span = 0, LEAF_WIDTH
            while not first & ((span << _NODE_BITS) - 1) and last - first + 1 >= span << _NODE_BITS:
                level, span = level + 1, span << _NODE_BITS
            child = first >> (LEAF_BITS + _NODE_BITS * level)
            self._raise_some(level, child)
            self._raise_full(level, child)
            first += span

    def _fill_leaf(self, index: int, bits: int) -> None:
        leaf = self._leaves.get(index, 0)
        if not leaf:
            self._raise_some(0, index)
        if leaf | bits == _LEAF_FULL:
            self._leaves.pop(index, None)
            self._raise_full(0, index)
        else:
            self._leaves[index] = leaf | bits

    def _seek_free(self, level: int, node: int, at: int) -> int | None:
        if level == 0:
            return self._seek_free_in_leaf(node, at)
        shift = LEAF_BITS + _NODE_BITS * (level - 1)
        base = node << (shift + _NODE_BITS)
        full = self._full[level - 1].get(node, 0)
        some = self._some[level - 1].get(node, 0)
        child = (at - base) >> shift if at > base else 0
        while True:
            rest = full >> child
            child += ((rest + 1) & ~rest).bit_length() - 1
            if child >= _NODE_WIDTH:
                return None
            if not some >> child & 1:
                return max(at, base + (child << shift))
            found = self._seek_free(level - 1, node << _NODE_BITS | child, at)
            if found is not None:
                return found
            child += 1

    def _seek_free_in_leaf(self, index: int, at: int) -> int | None:
        base = index << LEAF_BITS
        at = max(at, base)
        rest = self._leaves.get(index, 0) >> (at - base)
        found = at + ((rest + 1) & ~rest).bit_length() - 1
        return found if found - base < LEAF_WIDTH else None

    def _seek_used(self, level: int, node: int, at: int) -> int | None:
        if level == 0:
            base = node << LEAF_BITS
            at = max(at, base)
            rest = self._leaves.get(node, 0) >> (at - base)
            return at + (rest & -rest).bit_length() - 1 if rest else None
        shift = LEAF_BITS + _NODE_BITS * (level - 1)
        base = node << (shift + _NODE_BITS)
        full = self._full[level - 1].get(node, 0)
        some = self._some[level - 1].get(node, 0)
        child = (at - base) >> shift if at > base else 0
        while rest := some >> child:
            child += (rest & -rest).bit_length() - 1
            if full >> child & 1:
                return max(at, base + (child << shift))
            found = self._seek_used(level - 1, node << _NODE_BITS | child, at)
            if found is not None:
                return found
            child += 1
        return None

    def _leaf_gap(self, index: int) -> Gap:
        width = min(LEAF_WIDTH, self.size - (index << LEAF_BITS))
        leaf = self._leaves.get(index, 0)
        if not leaf:
            run = 0 if self._is_covered(index) else width
            return run, run, run
        head = (leaf & -leaf).bit_length() - 1
        return head, width - leaf.bit_length(), longest_run(~leaf & ((1 << width) - 1))

    def _node_gap(self, level: int, node: int) -> Gap:
        assert self._gaps is not None
        below = self._gaps[level - 1]
        span = 1 << (LEAF_BITS + _NODE_BITS * (level - 1))
        full = self._full[level - 1].get(node, 0)
        some = self._some[level - 1].get(node, 0)
        head, run, best, seen = 0, 0, 0, False
        for child in range(node << _NODE_BITS, (node + 1) << _NODE_BITS):
            width = min(span, self.size - child * span)
            if width <= 0:
                break
            mask = 1 << (child & _NODE_MASK)
            if not some & mask:
                run += width
                continue
            first, tail, inner = (0, 0, 0) if full & mask else below[child]
            run += first
            if not seen:
                head, seen = run, True
            best = max(best, run, inner)
            run = tail
        return head if seen else run, run, max(best, run)

    def _seek_gap(self, level: int, node: int, count: int) -> int:
        """In a subtree that has such a run, by the summaries that largest_gap has brought up to date."""
        assert self._gaps is not None
        if level == 0:
            width = min(LEAF_WIDTH, self.size - (node << LEAF_BITS))
            starts = starts_of(~self._leaves.get(node, 0) & ((1 << width) - 1), count)
            return (node << LEAF_BITS) + (starts & -starts).bit_length() - 1
        below = self._gaps[level - 1]
        span = 1 << (LEAF_BITS + _NODE_BITS * (level - 1))
        full = self._full[level - 1].get(node, 0)
        some = self._some[level - 1].get(node, 0)
        run, child = 0, node << _NODE_BITS
        while True:
            mask = 1 << (child & _NODE_MASK)
            width = min(span, self.size - child * span)
            free = (width, width, width)
            first, tail, inner = free if not some & mask else (0, 0, 0) if full & mask else below[child]
            if run + first >= count:
                return child * span - run
            if inner >= count:
                return self._seek_gap(level - 1, child, count)
            run = run + width if first == width else tail
            child += 1
