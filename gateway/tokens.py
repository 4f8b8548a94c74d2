"""The token endpoint: RFC 6749's shapes, form or JSON, around what the account agent grants."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from gateway.accounts import account_of_address, seal_credentials
from gateway.answers import JSON, NO_STORE, answer, nothing
from gateway.bodies import TokenAnswer, TokenRequest
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError, retry_after
from gateway.routing.route import FORM
from schemas.accounts import Credentials, Done, Refresh, SignIn, SignOut, Tokens
from schemas.errors import InvalidMessageError
from schemas.tokens import account_of_token
from streams.requests import RefusedError
from streams.topics import ACCOUNT_REQUESTS

PARAMETERS_MAX: Final = 16


async def issue_tokens(request: web.Request) -> web.Response:
    """Tokens against a password or a refresh token."""
    gateway = gateway_of(request)
    attempt = gateway.begin_attempt(request)
    wanted = await _read_request(gateway, request)
    command: SignIn | Refresh
    match wanted.grant_type:
        case "password" if wanted.username and wanted.password:
            command = _sign_in(gateway, wanted)
        case "refresh_token" if wanted.refresh_token:
            command = _refresh(gateway, wanted)
        case "password" | "refresh_token":
            raise oauth_error("invalid_request", "a parameter of this grant type is missing")
        case _:
            raise oauth_error("unsupported_grant_type", "password or refresh_token")
    try:
        tokens: Tokens = await gateway.ask(
            ACCOUNT_REQUESTS,
            command.account_id,
            command,
            Tokens,
            deadline_ms=gateway.limits.credentials_deadline_ms,
        )
    except RefusedError as error:
        if error.refused.status < 500:
            attempt.failed()
        raise _refusal(error) from error
    granted = TokenAnswer(
        access_token=tokens.access_token,
        token_type="Bearer",  # noqa: S106 - the RFC's word, no secret
        expires_in=tokens.expires_in,
        refresh_token=tokens.refresh_token,
    )
    return answer(granted, headers={**NO_STORE, "Pragma": "no-cache"})


async def sign_out(request: web.Request) -> web.Response:
    """Ends this device's refresh tokens, or with `?everywhere=true` those of all."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    everywhere = request.query.get("everywhere", "").lower() in {"1", "true"}
    command = SignOut(account_id=viewer.account_id, family=viewer.family, everywhere=everywhere)
    await gateway.ask(ACCOUNT_REQUESTS, viewer.account_id, command, Done)
    return nothing()


def oauth_error(error: str, description: str, status: int = 400) -> ProblemError:
    """RFC 6749, section 5.2, and a problem at once."""
    return ProblemError(
        status,
        error.replace("_", "-"),
        description,
        error=error,
        error_description=description,
    )


def _sign_in(gateway: Gateway, wanted: TokenRequest) -> SignIn:
    account_id = account_of_address(gateway, wanted.username)
    credentials = Credentials(email=wanted.username.strip(), password=wanted.password)
    return SignIn(account_id=account_id, sealed=seal_credentials(gateway, account_id, credentials))


def _refresh(gateway: Gateway, wanted: TokenRequest) -> Refresh:
    try:
        account_id = account_of_token(wanted.refresh_token)
    except InvalidMessageError as error:
        raise oauth_error("invalid_grant", "wrong, expired or already used") from error
    credentials = Credentials(refresh_token=wanted.refresh_token)
    return Refresh(account_id=account_id, sealed=seal_credentials(gateway, account_id, credentials))


def _refusal(error: RefusedError) -> Exception:
    refused = error.refused
    if refused.status >= 500:
        return error
    if refused.status == 429:
        problem = oauth_error("slow_down", refused.detail or "too many attempts", 429)
        problem.headers.update(retry_after())
        return problem
    return oauth_error("invalid_grant", "wrong, expired or already used")


async def _read_request(gateway: Gateway, request: web.Request) -> TokenRequest:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in {FORM, JSON}:
        raise ProblemError(415, "media-type", f"{FORM} or {JSON}", error="invalid_request")
    body = await gateway.intake.read(request, gateway.limits.body_bytes_max)
    try:
        if media_type == JSON:
            return msgspec.json.decode(body, type=TokenRequest)
        return msgspec.convert(_read_form(body), TokenRequest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise oauth_error("invalid_request", "the parameters cannot be read") from error


def _read_form(body: bytes) -> dict[str, str]:
    pairs = parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=PARAMETERS_MAX
    )
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a parameter stands twice")  # RFC 6749, section 3.2
    return dict(pairs)
