"""The account agent's shell: opens commands, hashes, decides, publishes, then replies."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Final

import faust

from agents.account import signing
from agents.account.accounts import Accounts
from agents.account.outbox import Mail
from agents.account.outcome import Answer, Grant, Outcome, refused
from agents.account.passwords import BusyError, Passwords
from agents.account.policy import decide
from agents.account.rules import AccountRules, Facts
from agents.account.state import AccountState
from agents.account.throttle import Throttle, ThrottleRules
from agents.account.vault import Vault
from agents.shell import ShellPorts, Work, serve
from schemas import codec
from schemas.accounts import (
    Account,
    AccountRequest,
    AccountView,
    Credentials,
    Done,
    SignIn,
    Tokens,
    credentials_info,
)
from schemas.envelope import Refused, Request
from schemas.errors import InvalidMessageError, RetryableError
from schemas.ids import uuid7
from schemas.tokens import ACCESS_TOKEN_S, ACCESS_TYP, AUDIENCE, ISSUER, AccessClaims
from streams.identity import Identity
from streams.records import Record
from streams.replies import Asked, Desk
from streams.sealing import unseal
from streams.tokens import issue
from streams.topics import ACCOUNT_EVENTS, ACCOUNT_REQUESTS, ACCOUNTS
from streams.view import View

log = logging.getLogger(__name__)
_commands: Final[codec.Decoder[AccountRequest]] = codec.Decoder(AccountRequest)
_credentials: Final[codec.Decoder[Credentials]] = codec.Decoder(Credentials)


class AccountAgent:
    """Owns `accounts.v1`.

    A command is decided and published before its answer leaves; where the log does not take it,
    the process halts and starts again from what the log holds.
    """

    name = "account"

    def __init__(
        self,
        ports: ShellPorts,
        identity: Identity,
        desk: Desk,
        *,
        vault: Vault,
        passwords: Passwords,
        mail: Mail,
        rules: AccountRules,
        throttle_rules: ThrottleRules | None = None,
    ) -> None:
        self._ports = ports
        self._identity = identity
        self._desk = desk
        self._vault = vault
        self._passwords = passwords
        self._mail = mail
        self._rules = rules
        self._throttle = Throttle(throttle_rules or ThrottleRules())
        self._accounts = Accounts(vault)
        self._view: View[Account] = View(
            ports.broker,
            ACCOUNTS,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=self._accounts.take,
            keep=False,
        )

    async def start(self) -> None:
        """Read every account."""
        await self._view.start()
        log.info("accounts: %d", len(self._accounts))

    def attach(self, app: faust.App) -> None:
        """Take account commands."""
        serve(app, ACCOUNT_REQUESTS, self.handle, self._ports)

    async def stop(self) -> None:
        """Stop following the accounts."""
        await self._view.stop()

    def handle(self, record: Record[Request]) -> Work | None:
        """Raises InvalidMessageError for what no gateway signed or nobody can read."""
        asked = self._desk.open(record)
        if asked is None:
            return None
        command = _commands.decode(asked.body)
        if command.account_id != record.key:
            raise InvalidMessageError("key", "the command is for another account than its key")
        return self._carry_out(asked, command)

    async def _carry_out(self, asked: Asked, command: AccountRequest) -> None:
        async with self._accounts.in_turn(command.account_id):
            outcome = await self._decided(asked, command)
            if outcome is None:
                return
            if outcome.state is not None:
                account = self._accounts.store(outcome.state)
                await self._ports.publisher.publish(ACCOUNTS, account.account_id, account)
            for event in outcome.events:
                await self._ports.publisher.publish(ACCOUNT_EVENTS, event.account_id, event)
        await self._reply(asked, outcome.answer)
        if outcome.mail is not None:
            try:
                name = sha256(asked.request_id.encode()).hexdigest()[:32]
                self._mail.deliver(name, outcome.mail, self._ports.clock())
            except OSError:
                log.exception("a password reset could not be handed to the mailer")

    async def _decided(self, asked: Asked, command: AccountRequest) -> Outcome | None:
        """None where it took so long that nobody waits any more: then nothing happens."""
        account_id = command.account_id
        state = self._accounts.load(account_id)
        facts = self._facts(asked, command)
        wait_ms = self._throttle.wait_ms(account_id, facts.now_ms)
        if wait_ms and isinstance(command, SignIn):
            return refused(429, "too-many-attempts", f"wait {wait_ms // 1000 + 1} s")
        try:
            facts = await self._hashed(state, command, facts)
        except BusyError:
            return refused(503, "busy")
        if self._desk.is_late(asked.request):
            return None
        if isinstance(command, SignIn):
            if facts.password_matches:
                self._throttle.succeeded(account_id)
            else:
                self._throttle.failed(account_id, facts.now_ms)
        return decide(state, command, facts)

    def _facts(self, asked: Asked, command: AccountRequest) -> Facts:
        sealed: bytes | None = getattr(command, "sealed", None)
        credentials = None
        if sealed is not None:
            info = credentials_info(command.account_id)
            credentials = _credentials.decode(unseal(sealed, self._identity.sealing, info))
        return Facts(
            now_ms=self._ports.clock(),
            request_id=asked.request_id,
            randomness=self._vault.randomness(command.account_id, asked.request_id),
            rules=self._rules,
            credentials=credentials,
        )

    async def _hashed(
        self, state: AccountState | None, command: AccountRequest, facts: Facts
    ) -> Facts:
        """The facts with what only hashing can tell; nothing is hashed in vain."""
        if facts.credentials is None or (state and facts.mark in state.private.marks):
            return facts
        password = facts.credentials.password
        if isinstance(command, SignIn):
            kept = state.private.password_hash if state is not None else ""
            length_max = facts.rules.password_characters_max
            checked = await self._passwords.check(password[: length_max + 1], kept)
            return replace(facts, password_matches=checked.matches, password_hash=checked.new_hash)
        if signing.needs_hash(state, command, facts):
            return replace(facts, password_hash=await self._passwords.hash(password))
        return facts

    async def _reply(self, asked: Asked, answer: Answer) -> None:
        if isinstance(answer, Grant):
            answer_sent: Tokens | AccountView | Done | Refused = self._tokens(answer)
        else:
            answer_sent = answer
        try:
            await self._desk.reply(asked, answer_sent)
        except RetryableError as error:
            # What was decided is in the log; whoever asked has stopped waiting by now.
            log.warning("an answer was not delivered: %s", error)

    def _tokens(self, grant: Grant) -> Tokens:
        now_ms = self._ports.clock()
        claims = AccessClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=grant.account_id,
            jti=str(uuid7(now_ms, secrets.token_bytes(10))),
            iat=now_ms // 1000,
            exp=now_ms // 1000 + ACCESS_TOKEN_S,
            ver=grant.version,
            fam=grant.family,
        )
        return Tokens(
            access_token=issue(self._identity, claims, typ=ACCESS_TYP),
            refresh_token=grant.refresh_token.text(),
            expires_in=ACCESS_TOKEN_S,
        )
