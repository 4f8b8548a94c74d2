"""The harness of faults, tested: its parts, a small run, and builds that it must catch."""
