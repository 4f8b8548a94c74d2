"""Which tests stay in one process where several run side by side.

A file always does, so that it can share what is slow to start; so do files that share it with one
another. pytest-xdist's own groups rest on a name of pytest's that 9.2 has no more.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadScopeScheduling

GROUPS: Final = {
    "a browser": (
        "tests/e2e/",
        "tests/clients/test_browser_",
        "tests/clients/test_epas_sdk.py",
        "tests/clients/test_hostile_text.py",
    ),
    "an operated deployment": (
        "tests/integration/test_commands.py",
        "tests/integration/test_ports.py",
        "tests/integration/test_operations.py",
    ),
    # Two cores carry no other whole deployment beside one that starts again and again.
    "a deployment that restarts": ("tests/restarts/", "tests/integration/test_topics_migrate.py"),
}


def group_of(nodeid: str) -> str:
    """The group of a test; its file where it shares nothing with others."""
    for group, beginnings in GROUPS.items():
        if nodeid.startswith(beginnings):
            return group
    return nodeid.partition("::")[0]


class SideBySide(LoadScopeScheduling):
    """Gives each process a group at a time, in the order of their collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
