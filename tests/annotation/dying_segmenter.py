"""A segmenter plug-in for tests that kills its process once, in the second chunk of a session."""

import os
import signal

_CALLS = 25


def make():
    """Return it; the file it leaves is named by HAND_POSE_DIED."""
    calls = 0

    def segment(picture, modality, hands):
        nonlocal calls
        calls += 1
        if calls == _CALLS:
            try:
                os.close(os.open(os.environ['HAND_POSE_DIED'], os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return [None] * len(hands)

    return segment
