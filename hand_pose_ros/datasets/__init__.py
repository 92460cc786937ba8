"""Data sets: readers, one sample type and batches."""
