"""Time jumps: when what an estimator remembers says nothing about the next frame."""


def is_jump(earlier: int | None, stamp: int, longest: float) -> bool:
    """Return whether time runs back, or too far ahead, from one frame to the next.

    Args:
        earlier: stamp of the frame before in nanoseconds, None for the first frame.
        stamp: of the frame, nanoseconds.
        longest: pause that is bridged, seconds.
    """
    return earlier is not None and not 0.0 <= (stamp - earlier) * 1e-9 <= longest
