"""The account agent's shell: opens commands, hashes, decides, publishes, then replies."""

from __future__ import annotations

import asyncio
import logging
import secrets
from hashlib import sha256
from typing import Final

import faust
import msgspec

from agents.account.accounts import Accounts
from agents.account.outbox import Mail
from agents.account.outcome import Answer, Grant, Outcome, Unlocked, refused
from agents.account.passwords import BusyError, Passwords
from agents.account.policy import decide
from agents.account.proving import Prover
from agents.account.rules import AccountRules, Facts
from agents.account.state import AccountState
from agents.account.throttle import Throttle, ThrottleRules
from agents.account.vault import Vault
from agents.shell import ShellPorts, Work, serve
from schemas import codec
from schemas.accounts import (
    Account,
    AccountRequest,
    Credentials,
    DataKey,
    ProfileUnlocked,
    RequestPasswordReset,
    SignIn,
    SignUp,
    Tokens,
    credentials_info,
)
from schemas.envelope import Refused, Request
from schemas.errors import InvalidMessageError, RetryableError
from schemas.ids import uuid7
from schemas.tokens import (
    ACCESS_TOKEN_S,
    ACCESS_TYP,
    AUDIENCE,
    ISSUER,
    PROFILE_TOKEN_S,
    PROFILE_TYP,
    AccessClaims,
    ProfileClaims,
)
from streams.identity import Identity
from streams.records import Record
from streams.replies import Asked, Desk
from streams.sealing import unseal
from streams.tokens import issue
from streams.topics import ACCOUNT_EVENTS, ACCOUNT_KEYS, ACCOUNT_REQUESTS, ACCOUNTS
from streams.view import View

log = logging.getLogger(__name__)
_commands: Final[codec.Decoder[AccountRequest]] = codec.Decoder(AccountRequest)
_credentials: Final[codec.Decoder[Credentials]] = codec.Decoder(Credentials)
ALIKE_MS: Final = 250
"""Answers that must not show whether there is an account leave no sooner: more than all the work
that only an account causes (its record, its events, mail) takes on a machine that keeps up."""


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
        alike_ms: int = ALIKE_MS,
    ) -> None:
        self._ports = ports
        self._identity = identity
        self._desk = desk
        self._vault = vault
        self._mail = mail
        self._rules = rules
        self._prover = Prover(passwords, Throttle(throttle_rules or ThrottleRules()))
        self._alike_ms = alike_ms
        self._accounts = Accounts(vault)
        self._view: View[Account] = View(
            ports.broker,
            ACCOUNTS,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=self._accounts.take,
            keep=False,
        )
        self._keys: View[DataKey] = View(
            ports.broker,
            ACCOUNT_KEYS,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=vault.data_keys.take,
            keep=False,
        )

    async def start(self) -> None:
        """Read every account, and the key of each."""
        await self._keys.start()
        await self._view.start()
        log.info("accounts: %d", len(self._accounts))

    def attach(self, app: faust.App) -> None:
        """Take account commands."""
        serve(app, ACCOUNT_REQUESTS, self.handle, self._ports)

    async def stop(self) -> None:
        """Stop following the accounts."""
        await self._view.stop()
        await self._keys.stop()

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
        started_at_ms = self._ports.clock()
        async with self._accounts.in_turn(command.account_id):
            outcome = await self._decided(asked, command)
            if outcome is None:
                return
            await self._record(command.account_id, outcome)
        if _must_look_alike(command, outcome.answer):
            left_ms = started_at_ms + self._alike_ms - self._ports.clock()
            await asyncio.sleep(max(0, left_ms) / 1000)
        await self._reply(asked, outcome.answer)
        if outcome.mail is not None:
            try:
                name = sha256(asked.request_id.encode()).hexdigest()[:32]
                self._mail.deliver(name, outcome.mail, self._ports.clock())
            except OSError:
                log.exception("a message could not be handed to the mailer")

    async def _record(self, account_id: str, outcome: Outcome) -> None:
        """The new state holds its events too: whoever comes after a process that ended here
        tells them."""
        publish = self._ports.publisher.publish
        account = None
        if outcome.state is not None:
            untold = self._accounts.untold(account_id)
            await self._make_key(outcome.state)
            account = self._accounts.store(outcome.state, outcome.events)
            for event in untold:
                await publish(ACCOUNT_EVENTS, account_id, event)
            await publish(ACCOUNTS, account_id, account)
        if outcome.destroys_key:
            self._vault.data_keys.forget(account_id)
            await self._publish_key(account_id, None)
        for event in outcome.events:
            await publish(ACCOUNT_EVENTS, account_id, event)
        if account is not None:
            self._accounts.told(account)

    async def _make_key(self, state: AccountState) -> None:
        """The account's own key first, where it has none yet: what is sealed must stay openable."""
        keys, account_id = self._vault.data_keys, state.account.account_id
        if account_id not in keys and state.account.erased_at_ms is None:
            made = keys.make(account_id, self._ports.clock())
            await self._publish_key(account_id, made)

    async def _publish_key(self, account_id: str, key: DataKey | None) -> None:
        receipt = await self._ports.publisher.publish(ACCOUNT_KEYS, account_id, key)
        self._vault.data_keys.published(account_id, receipt.offset)

    async def _decided(self, asked: Asked, command: AccountRequest) -> Outcome | None:
        """None where it took so long that nobody waits any more: then nothing happens."""
        state = self._accounts.load(command.account_id)
        facts = self._facts(asked, command)
        wait_ms = self._prover.wait_ms(command, facts.now_ms)
        if wait_ms:
            return refused(429, "too-many-attempts", f"wait {wait_ms // 1000 + 1} s")
        try:
            facts = await self._prover.proved(state, command, facts)
        except BusyError:
            return refused(503, "busy")
        if self._desk.is_late(asked.request):
            return None
        self._prover.note(command, facts)
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
            erased_version=self._accounts.erased_version(command.account_id),
        )

    async def _reply(self, asked: Asked, answer: Answer) -> None:
        match answer:
            case Grant():
                sent: msgspec.Struct = self._tokens(answer)
            case Unlocked():
                sent = self._profile_token(answer)
            case _:
                sent = answer
        try:
            await self._desk.reply(asked, sent)
        except RetryableError as error:
            # What was decided is in the log; whoever asked has stopped waiting by now.
            log.warning("an answer was not delivered: %s", error)

    def _tokens(self, grant: Grant) -> Tokens:
        now_ms = self._ports.clock()
        claims = AccessClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=grant.account_id,
            jti=_token_id(now_ms),
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

    def _profile_token(self, unlocked: Unlocked) -> ProfileUnlocked:
        now_ms = self._ports.clock()
        claims = ProfileClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=unlocked.account_id,
            jti=_token_id(now_ms),
            iat=now_ms // 1000,
            exp=now_ms // 1000 + PROFILE_TOKEN_S,
            profile_id=unlocked.profile_id,
            pin_set_at_ms=unlocked.pin_set_at_ms,
        )
        return ProfileUnlocked(
            profile_token=issue(self._identity, claims, typ=PROFILE_TYP),
            expires_at_ms=claims.exp * 1000,
        )


def _token_id(now_ms: int) -> str:
    return str(uuid7(now_ms, secrets.token_bytes(10)))


def _must_look_alike(command: AccountRequest, answer: Answer) -> bool:
    """Whether the time until the answer could tell if the address has an account."""
    match command:
        case SignUp() | RequestPasswordReset():
            return True
        case SignIn():
            return isinstance(answer, Refused)
        case _:
            return False
