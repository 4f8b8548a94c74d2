"""The numbers and lists that account decisions follow, and what each decision is given."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import msgspec

from schemas.accounts import Credentials

DAY_MS = 86_400_000


class AccountRules(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment's rules; plans are those that the license policy knows."""

    plans: frozenset[str]
    trial_ms: int = 0
    """How long a plan chosen at sign-up may be tried; 0: billing decides first."""
    profiles_max: int = 8
    families_max: int = 16
    """Signed-in devices; the least recently used is signed out for the next."""
    refresh_idle_ms: int = 30 * DAY_MS
    refresh_total_ms: int = 180 * DAY_MS
    reset_ms: int = 1_800_000
    password_characters_min: int = 8
    password_characters_max: int = 256
    marks_max: int = 16
    device_names_max: int = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision may use beside state and command; nothing else is read."""

    now_ms: int
    request_id: str
    randomness: bytes
    """64 bytes that are the same for the same request and unguessable without the agent's key."""
    rules: AccountRules
    credentials: Credentials | None = None
    """Opened; None where the command carries none."""
    password_matches: bool = False
    """Of `credentials.password` against the state's hash."""
    password_hash: str = ""
    """Of the password that is to be kept from now on; empty where none is."""
    pin_matches: bool = False
    """Of `credentials.pin` against the hash of the profile that the command names."""
    pin_hash: str = ""
    """Of the PIN that is to be kept from now on."""
    erased_version: int = 0
    """Of the erased account that had this id: one that begins anew counts on from it."""

    @property
    def mark(self) -> str:
        """How this request is remembered."""
        return sha256(self.request_id.encode()).hexdigest()[:16]
