"""Leased addresses of one scope that lie in no pool, by blocks, so that a range is asked without a walk over all.

Called by core.addresses. Blocks are as wide as a host's usual range, so that to ask for one costs one look.
"""

_BLOCK_BITS = 12


class Outside:
    """A set of addresses. Equal if the same are in it."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[int, dict[int, None]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outside) and self._blocks == other._blocks

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, address: int) -> None:
        self._blocks.setdefault(address >> _BLOCK_BITS, {})[address] = None

    def remove(self, address: int) -> None:
        block = self._blocks[address >> _BLOCK_BITS]
        del block[address]
        if not block:
            del self._blocks[address >> _BLOCK_BITS]

    def within(self, first: int, last: int) -> list[int]:
        """The addresses of first..last; costs by the blocks that there are or by the width, whichever is less."""
        low, high = first >> _BLOCK_BITS, last >> _BLOCK_BITS
        if high - low < len(self._blocks):
            blocks = [self._blocks[at] for at in range(low, high + 1) if at in self._blocks]
        else:
            blocks = [block for at, block in self._blocks.items() if low <= at <= high]
        return [address for block in blocks for address in block if first <= address <= last]
