"""Tasks: what the trainer needs to know about each network."""
