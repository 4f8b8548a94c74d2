"""An account's story, told command by command to the pure policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from agents.account.outcome import Grant, Outcome
from agents.account.policy import decide
from agents.account.rules import AccountRules, Facts
from agents.account.state import AccountState
from schemas.accounts import AccountRequest, Credentials, Refresh, SignIn, SignUp

ACCOUNT_ID = "8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d"
PASSWORD = "correct horse"
RULES = AccountRules(plans=frozenset({"basic", "premium"}))


@dataclass
class Story:
    """Hashes by a prefix instead of argon2; every request has its own number."""

    rules: AccountRules = RULES
    now_ms: int = 1_795_300_000_000
    state: AccountState | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    asked: int = 0
    erased_version: int = 0

    def facts(
        self, request_id: str, credentials: Credentials | None, profile_id: str = ""
    ) -> Facts:
        password = credentials.password if credentials else ""
        pin = credentials.pin if credentials else ""
        kept = self.state.private.password_hash if self.state else ""
        pins = self.state.private.pins if self.state else {}
        return Facts(
            now_ms=self.now_ms,
            request_id=request_id,
            randomness=hashlib.sha512(request_id.encode()).digest(),
            rules=self.rules,
            credentials=credentials,
            password_matches=bool(kept) and kept == f"hash:{password}",
            password_hash=f"hash:{password}" if password else "",
            pin_matches=bool(pin) and pins.get(profile_id) == f"pin:{pin}",
            pin_hash=f"pin:{pin}" if pin else "",
            erased_version=self.erased_version,
        )

    def tell(
        self,
        command: AccountRequest,
        credentials: Credentials | None = None,
        *,
        request_id: str = "",
    ) -> Outcome:
        self.asked += 1
        profile_id = getattr(command, "profile_id", "")
        facts = self.facts(request_id or f"request-{self.asked}", credentials, profile_id)
        outcome = decide(self.state, command, facts)
        if outcome.state is not None:
            self.state = outcome.state
        self.outcomes.append(outcome)
        return outcome

    def sign_up(self, plan: str = "") -> Outcome:
        command = SignUp(account_id=ACCOUNT_ID, sealed=b"", plan=plan)
        return self.tell(command, Credentials(email="ada@example.org", password=PASSWORD))

    def sign_in(self, password: str = PASSWORD, *, request_id: str = "") -> Outcome:
        command = SignIn(account_id=ACCOUNT_ID, sealed=b"")
        return self.tell(command, Credentials(password=password), request_id=request_id)

    def refresh(self, token: str, *, request_id: str = "") -> Outcome:
        command = Refresh(account_id=ACCOUNT_ID, sealed=b"")
        return self.tell(command, Credentials(refresh_token=token), request_id=request_id)

    @property
    def facts_told(self) -> list[str]:
        return [event.fact for outcome in self.outcomes for event in outcome.events]


def token_of(outcome: Outcome) -> str:
    """The refresh token of a grant."""
    assert isinstance(outcome.answer, Grant), outcome.answer
    return outcome.answer.refresh_token.text()
