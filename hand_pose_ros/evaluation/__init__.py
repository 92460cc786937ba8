"""Evaluation: error measures with their exact protocols, and matching results with truth."""
