"""The findings of the three papers, repeated in small on the simulator."""
