"""Exporting: labelled sessions as episodes that robot-learning tools read."""
