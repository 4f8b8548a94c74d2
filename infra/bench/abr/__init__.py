"""Streams recorded network traces in a simulated player, to score what chooses bitrates."""
