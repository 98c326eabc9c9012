"""Runs of ones in an integer, without a loop over its bits. Called by core.space, whose leaves have 4096 of them."""


def starts_of(bits: int, count: int) -> int:
    """Where runs of `count` ones begin."""
    length = 1
    while length < count:
        step = min(length, count - length)
        bits &= bits >> step
        length += step
    return bits


def longest_run(bits: int) -> int:
    """Length of the longest run of ones: starts of runs of 1, 2, 4 ... are marked, then joined, longest first."""
    if not bits:
        return 0
    powers = [bits]
    length = 1
    while longer := powers[-1] & (powers[-1] >> length):
        powers.append(longer)
        length *= 2
    starts = powers.pop()
    step = length
    while powers:
        step //= 2
        longer = starts & (powers.pop() >> length)
        if longer:
            starts, length = longer, length + step
    return length
