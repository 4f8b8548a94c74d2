"""What profiles decided of their recommendations: turned off, or begun anew; their accounts say it.

Whoever recommends must offer lists that are not based on profiling: Regulation (EU) 2022/2065
(Digital Services Act), article 38.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.accounts import Account


class Choice(NamedTuple):
    """What recommendations may know of a profile."""

    since_ms: int = 0
    """Nothing from before."""
    is_personalized: bool = True
    """False: nothing that it watches."""


UNDECIDED: Final = Choice()


class Choices:
    """By profile; most decided nothing, and take no room."""

    def __init__(self) -> None:
        self._choices: dict[str, Choice] = {}

    def of(self, profile_id: str) -> Choice:
        """What the profile decided."""
        return self._choices.get(profile_id, UNDECIDED)

    def put(self, account: Account) -> list[str]:
        """Take what the account says now; the profiles that decided otherwise than before."""
        changed = []
        for profile in account.profiles:
            choice = Choice(profile.personalized_since_ms, profile.is_personalized)
            if choice == self.of(profile.profile_id):
                continue
            self._choices[profile.profile_id] = choice
            changed.append(profile.profile_id)
        return changed
