"""Losses of the three networks."""
