"""Runs MediaPipe's Hands graph for mediapipe_speed.py; needs mediapipe, not this package.

Reads one frame number a line, answers with the seconds it took and the number of hands.
"""

import sys
import time

import mediapipe
import numpy as np


def main() -> int:
    """Serve frame numbers of the (N, H, W, 3) uint8 file given as the only argument."""
    frames = np.load(sys.argv[1], allow_pickle=False)
    hands = mediapipe.solutions.hands.Hands(
        static_image_mode=False,
        max_num_hands=2,
        model_complexity=1,
        min_detection_confidence=0.5,
        min_tracking_confidence=0.5,
    )
    print('ready', flush=True)
    for line in sys.stdin:
        frame = frames[int(line) % len(frames)]
        start = time.perf_counter()
        result = hands.process(frame)
        seconds = time.perf_counter() - start
        print(seconds, len(result.multi_hand_landmarks or []), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
