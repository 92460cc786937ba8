"""Calibration: a recorded target in, intrinsics, poses and time offsets of all cameras out."""
