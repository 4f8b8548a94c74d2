"""Benchmarks: commands that measure this machine, each beside its floor in the same run."""
