"""Faults under load, and the proof that nothing was lost, doubled, invented or put out of order."""
