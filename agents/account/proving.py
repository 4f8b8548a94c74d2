"""What only hashing can tell about a command, and how long whoever guesses has to wait."""

from __future__ import annotations

from dataclasses import replace

from agents.account import signing
from agents.account.passwords import Passwords
from agents.account.rules import Facts
from agents.account.state import AccountState
from agents.account.throttle import Throttle
from schemas.accounts import AccountRequest, SetPin, SignIn, UnlockProfile


class Prover:
    """Checks passwords and PINs; each account, and each profile's PIN, has failures of its own."""

    def __init__(self, passwords: Passwords, throttle: Throttle) -> None:
        self._passwords = passwords
        self._throttle = throttle

    def wait_ms(self, command: AccountRequest, now_ms: int) -> int:
        """How long the command has to wait for its next try; 0: not at all."""
        guessed = _guessed(command)
        return self._throttle.wait_ms(guessed, now_ms) if guessed else 0

    async def proved(
        self, state: AccountState | None, command: AccountRequest, facts: Facts
    ) -> Facts:
        """The facts with what hashing tells; nothing is hashed in vain. Raises BusyError."""
        if facts.credentials is None or (state and facts.mark in state.private.marks):
            return facts
        credentials = facts.credentials
        if isinstance(command, SignIn) or (isinstance(command, SetPin) and credentials.password):
            facts = await self._password_checked(state, facts)
        if isinstance(command, SetPin) and credentials.pin:
            facts = replace(facts, pin_hash=await self._passwords.hash(_cut(credentials.pin)))
        elif isinstance(command, UnlockProfile):
            kept = state.private.pins.get(command.profile_id, "") if state is not None else ""
            checked = await self._passwords.check(_cut(credentials.pin), kept)
            facts = replace(facts, pin_matches=checked.matches)
        elif signing.needs_hash(state, command, facts):
            hashed = await self._passwords.hash(credentials.password)
            facts = replace(facts, password_hash=hashed)
        return facts

    def note(self, command: AccountRequest, facts: Facts) -> None:
        """Remember whether what was guessed was right."""
        guessed = _guessed(command)
        if not guessed or facts.credentials is None:
            return
        if isinstance(command, SetPin) and not facts.credentials.password:
            return  # shows a proof instead: nothing is guessed
        is_pin = isinstance(command, UnlockProfile)
        if facts.pin_matches if is_pin else facts.password_matches:
            self._throttle.succeeded(guessed)
        else:
            self._throttle.failed(guessed, facts.now_ms)

    async def _password_checked(self, state: AccountState | None, facts: Facts) -> Facts:
        assert facts.credentials is not None
        kept = state.private.password_hash if state is not None else ""
        length_max = facts.rules.password_characters_max
        password = facts.credentials.password[: length_max + 1]
        checked = await self._passwords.check(password, kept)
        return replace(facts, password_matches=checked.matches, password_hash=checked.new_hash)


def _guessed(command: AccountRequest) -> str:
    """What wrong tries are counted for; empty where the command says no secret."""
    match command:
        case SignIn() | SetPin():
            return command.account_id
        case UnlockProfile():
            return f"{command.account_id}/{command.profile_id}"
        case _:
            return ""


def _cut(pin: str) -> str:
    """No more of it than could be a PIN, and one more."""
    return pin[:9]
