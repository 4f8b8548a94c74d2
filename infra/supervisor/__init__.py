"""Runs every component in its own process, watches over them and stops them in order."""
