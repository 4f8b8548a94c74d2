"""The names of the workers, apart from wiring so that commands need not import every agent."""

from __future__ import annotations

from typing import Final

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
