"""Annotation: a recorded session in, labels of both hands in every frame out."""
