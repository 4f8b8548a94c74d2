"""The names of the workers, apart from wiring so that commands need not import every agent."""

from __future__ import annotations

from typing import Final

FIRST_INSTANCE: Final = "1"
"""Of each worker; more processes of one need names of their own."""
WORKER_NAMES: Final = (
    "account",
    "license",
    "bitrate",
    "steering",
    "recommendation",
    "catalog",
    "fold",
    "analytics",
)


def place_of(name: str, instance: str) -> str:
    """What a worker's files are called by."""
    return name if instance == FIRST_INSTANCE else f"{name}-{instance}"
