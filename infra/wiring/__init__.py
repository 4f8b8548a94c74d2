"""Builds every component from the settings and passes it what it needs; nothing else does."""
