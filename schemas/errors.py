"""Errors say what to do, not what happened.

PlayheadError
├── InvalidMessageError      the record or request can never be read: dead-letter it, or answer 400
│   └── UnknownTypeError     a newer writer's type: skip and count, store raw
├── RetryableError           the world was away: try again, bounded
└── StopWorkerError          going on would lose or double something: halt and be restarted
"""

from __future__ import annotations


class PlayheadError(Exception):
    """Base of all errors that this product raises on purpose."""


class InvalidMessageError(PlayheadError):
    """The bytes can never become a message; `reason` is a stable word, `detail` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class UnknownTypeError(InvalidMessageError):
    """The tag is not one of this version's: a newer writer is ahead of this reader."""


class RetryableError(PlayheadError):
    """The same call may succeed later; the caller bounds how often it is tried."""


class StopWorkerError(PlayheadError):
    """The process must halt; its supervisor starts it again from what the log holds."""
