"""The tightest set around one message: a search over the neighbours in every other stream."""

# Distance of a neighbour that does not exist.
NONE = 1 << 62

# The messages of one stream next to the pivot message, as distances in nanoseconds (plain tuples,
# for speed): ``before``, to the newest message not after the pivot; ``after``, to the oldest one
# after it; ``expected``, least distance of one after it that is still to come; ``absent``, to where
# a message before the pivot should be but is not, because the one after it belongs to the next
# pivot message.
Neighbours = tuple[int, int, int, int]

# A way to make a set: streams left out because nothing fits the limit; width of the window in
# nanoseconds, absent messages counted; how far before the pivot message the window begins.
Choice = tuple[int, int, int]


def tightest(streams: list[Neighbours], limit: int) -> Choice:
    """Return the fullest and then tightest set of the messages at hand.

    A window that contains the pivot is fixed by where it begins: at the pivot itself or at one of
    the messages before it. Every stream then gives its message before the pivot if that is
    inside, else the one after.

    Args:
        streams: neighbours by stream.
        limit: largest spread allowed.
    """
    return _search(
        [(before if before < absent else absent, after) for before, after, _, absent in streams],
        limit,
    )


def tightest_to_come(streams: list[Neighbours], limit: int) -> Choice:
    """Return the best set that messages still to come could allow."""
    return _search(
        [
            (before if before < absent else absent, after if after < expected else expected)
            for before, after, expected, absent in streams
        ],
        limit,
    )


def _search(pairs: list[tuple[int, int]], limit: int) -> Choice:
    full = _tightest_full(pairs)
    return full if full[1] <= limit else _fullest(pairs, limit)


def _tightest_full(pairs: list[tuple[int, int]]) -> Choice:
    """Return the tightest set without a missing stream, whatever its spread."""
    start, spread, end = 0, NONE + NONE, 0
    # Let the window begin later and later: what falls out of it must come from after the pivot.
    for before, after in sorted(pairs, reverse=True):
        if before + end < spread:
            start, spread = before, before + end
        if after > end:
            end = after
    if end < spread:
        start, spread = 0, end
    return 0, spread, start


def _fullest(pairs: list[tuple[int, int]], limit: int) -> Choice:
    """Return the set with the fewest missing streams, and among those the tightest."""
    best = (len(pairs) + 1, 0, 0)
    for start in (0, *[before for before, _ in pairs]):
        if start > limit:
            continue
        missing = end = 0
        for before, after in pairs:
            if before <= start:
                continue
            if start + after > limit:
                missing += 1
            elif after > end:
                end = after
        choice = (missing, start + end, start)
        if choice < best:
            best = choice
    return best
