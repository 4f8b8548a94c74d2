"""Erasing an account: closed for ever, nothing personal left, its key to be destroyed."""

from __future__ import annotations

from msgspec.structs import replace

from agents.account.outcome import Outcome, happened
from agents.account.rules import Facts
from agents.account.state import AccountState, Private
from schemas.accounts import Done


def erase(state: AccountState | None, facts: Facts) -> Outcome:
    """What is left says that there was an account, since when, and that it is gone.

    Asked again it destroys the key again: whoever did so first may have been killed before that.
    """
    if state is None:
        return Outcome(Done(), destroys_key=True)
    account = replace(
        state.account,
        version=state.account.version + 1,
        subscription=replace(state.account.subscription, state="none", since_ms=facts.now_ms),
        profiles=(),
        is_closed=True,
        erased_at_ms=facts.now_ms,
    )
    event = happened(account, "account_erased", facts)
    return Outcome(Done(), AccountState(account, Private()), (event,), destroys_key=True)
