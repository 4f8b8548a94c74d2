"""Erasing an account: its key destroyed, its rows made nobody's, and the proof."""
