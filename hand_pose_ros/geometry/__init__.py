"""Cameras and rigid transforms: pure functions on arrays."""
