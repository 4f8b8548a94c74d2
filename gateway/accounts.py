"""Accounts: made, seen, their passwords reset; the account agent decides."""

from __future__ import annotations

import unicodedata

from aiohttp import web

from gateway.answers import answer, nothing
from gateway.bodies import (
    AccountAnswer,
    NewAccount,
    PasswordReset,
    SubscriptionChange,
)
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError, unavailable
from schemas import codec
from schemas.accounts import (
    AccountRequest,
    AccountView,
    Credentials,
    Done,
    GetAccount,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignUp,
    credentials_info,
)
from schemas.errors import InvalidMessageError
from schemas.ids import derive_account_id
from schemas.tokens import account_of_token
from streams.sealing import seal
from streams.topics import ACCOUNT_REQUESTS


def account_of_address(gateway: Gateway, email: str) -> str:
    """The account id of an address: the pseudonym by which everybody else knows it."""
    normalized = unicodedata.normalize("NFC", email.strip())
    return derive_account_id(gateway.ports.deployment_secret, normalized)


def seal_credentials(gateway: Gateway, account_id: str, credentials: Credentials) -> bytes:
    """Readable by the account agent alone; ProblemError 503 where none is enrolled."""
    enrolled = gateway.ports.directory.current("account")
    if enrolled is None:
        raise unavailable("not_stored", "no-account-agent")
    return seal(codec.encode(credentials), enrolled.sealing_key, credentials_info(account_id))


async def create_account(request: web.Request) -> web.Response:
    """201 with the account; the same where the address has one, whose owner gets mail."""
    gateway = gateway_of(request)
    attempt = gateway.begin_attempt(request)
    body: NewAccount = await gateway.read_json(request, NewAccount)
    account_id = account_of_address(gateway, body.email)
    credentials = Credentials(email=body.email.strip(), password=body.password)
    command = SignUp(
        account_id=account_id,
        sealed=seal_credentials(gateway, account_id, credentials),
        plan=body.plan,
    )
    attempt.failed()  # each counts: it cannot be told whether it was one
    view = await ask_account(gateway, command, gateway.limits.credentials_deadline_ms)
    return answer(AccountAnswer.of(view), 201)


async def reset_password(request: web.Request) -> web.Response:
    """Either half of a reset; the first is answered alike whether the address has an account."""
    gateway = gateway_of(request)
    attempt = gateway.begin_attempt(request)
    body: PasswordReset = await gateway.read_json(request, PasswordReset)
    command: RequestPasswordReset | ResetPassword
    if body.email is not None and body.reset_token is None and body.password is None:
        account_id = account_of_address(gateway, body.email)
        sealed = seal_credentials(gateway, account_id, Credentials(email=body.email.strip()))
        command = RequestPasswordReset(account_id=account_id, sealed=sealed)
    elif body.reset_token is not None and body.password is not None and body.email is None:
        try:
            account_id = account_of_token(body.reset_token)
        except InvalidMessageError as error:
            raise ProblemError(400, "reset-token", "wrong, expired or already used") from error
        credentials = Credentials(reset_token=body.reset_token, password=body.password)
        sealed = seal_credentials(gateway, account_id, credentials)
        command = ResetPassword(account_id=account_id, sealed=sealed)
    else:
        raise ProblemError(400, "schema", "either email, or reset_token and password")
    attempt.failed()
    await gateway.ask(
        ACCOUNT_REQUESTS,
        account_id,
        command,
        Done,
        deadline_ms=gateway.limits.credentials_deadline_ms,
    )
    return nothing()


async def get_account(request: web.Request) -> web.Response:
    """Plan, subscription state, profiles."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    view = await ask_account(gateway, GetAccount(account_id=viewer.account_id))
    return answer(AccountAnswer.of(view))


async def put_subscription(request: web.Request) -> web.Response:
    """What an operator, or a billing system that asks, says about any account."""
    gateway = gateway_of(request)
    admin = gateway.auth.admin(request, "billing", "operator")
    body: SubscriptionChange = await gateway.read_json(request, SubscriptionChange)
    command = SetSubscription(
        account_id=request.match_info["account_id"],
        plan=body.plan,
        state=body.state,
        until_ms=body.until_ms,
        by="operator" if admin.role == "operator" else "billing",
        by_name=admin.sub,
    )
    return answer(AccountAnswer.of(await ask_account(gateway, command)))


async def ask_account(
    gateway: Gateway, command: AccountRequest, deadline_ms: int | None = None
) -> AccountView:
    """The account after the command; who has seen it is judged by no older one."""
    view: AccountView = await gateway.ask(
        ACCOUNT_REQUESTS, command.account_id, command, AccountView, deadline_ms=deadline_ms
    )
    gateway.auth.remember_version(view)
    return view
