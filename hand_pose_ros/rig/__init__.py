"""The head rig: its description and calibration, its frames, and how streams become one frame."""
