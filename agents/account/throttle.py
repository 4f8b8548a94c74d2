"""Slows down guessing: after some wrong passwords in a row an account waits, longer each time.

It counts whether the account exists or not, so that it tells nothing, and is bounded in entries.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import msgspec


class ThrottleRules(msgspec.Struct, frozen=True, kw_only=True):
    """How patient sign-in is."""

    free_failures: int = 5
    wait_ms_min: int = 2_000
    wait_ms_max: int = 900_000
    forget_ms: int = 3_600_000
    accounts_max: int = 100_000


@dataclass(slots=True)
class _Failures:
    count: int
    last_at_ms: int


class Throttle:
    """Wrong passwords in a row, per account; kept in memory only."""

    def __init__(self, rules: ThrottleRules) -> None:
        self._rules = rules
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_ms(self, account_id: str, now_ms: int) -> int:
        """How long this account has to wait before its next try; 0: not at all."""
        failures = self._failures.get(account_id)
        if failures is None or now_ms - failures.last_at_ms >= self._rules.forget_ms:
            return 0
        excess = failures.count - self._rules.free_failures
        if excess < 0:
            return 0
        # The exponent is bounded before it is used: 2 ** count would grow without end.
        wait_ms = min(self._rules.wait_ms_min << min(excess, 20), self._rules.wait_ms_max)
        return max(0, failures.last_at_ms + wait_ms - now_ms)

    def failed(self, account_id: str, now_ms: int) -> None:
        """Remember a wrong password."""
        failures = self._failures.pop(account_id, None)
        if failures is None or now_ms - failures.last_at_ms >= self._rules.forget_ms:
            failures = _Failures(0, now_ms)
        self._failures[account_id] = _Failures(failures.count + 1, now_ms)
        if len(self._failures) > self._rules.accounts_max:
            self._failures.popitem(last=False)

    def succeeded(self, account_id: str) -> None:
        """Forget the account's wrong passwords."""
        self._failures.pop(account_id, None)
