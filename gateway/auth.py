"""Who asks: bearer tokens and the session tokens in paths. Every failure is the same 401."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from aiohttp import web

from gateway.leases import Leases
from gateway.oidc import OutsideIdentities
from gateway.ports import GatewayPorts
from gateway.problems import ProblemError, unauthorized
from schemas.accounts import AccountView, EnsureAccount, PinProof
from schemas.revocations import RevokedKind, revocation_key
from schemas.sessions import SessionClaims
from schemas.tokens import AdminClaims, AdminRole
from streams.tokens import TokenError
from streams.topics import ACCOUNT_REQUESTS

ACCOUNTS_MAX: Final = 100_000
TOKEN_CHARS_MAX: Final = 8_192
PROFILE_TOKEN_HEADER: Final = "Profile-Token"  # noqa: S105 - a header's name


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in account."""

    account_id: str
    version: int
    """The newest version of the account that this gateway knows its viewer has seen."""
    family: str = ""
    token_version: int | None = None
    """Of the access token itself; None where an outside issuer made it."""


class Auth:
    """Checks tokens; asks the account agent only for the first use of an outside identity."""

    def __init__(self, ports: GatewayPorts, leases: Leases) -> None:
        self._ports = ports
        self._leases = leases
        self._late_events_s_max = ports.config.limits.late_events_s_max
        self._outside = OutsideIdentities(
            ports.config.oidc_issuers, secret=ports.deployment_secret, clock=ports.clock
        )
        self._versions: OrderedDict[str, int] = OrderedDict()

    async def viewer(self, request: web.Request) -> Viewer:
        """The account of the bearer token; ProblemError 401."""
        token = bearer_token(request)
        try:
            claims = self._ports.access_tokens.verify(token)
        except TokenError as error:
            if error.reason == "expired":
                raise unauthorized() from error
            return await self._outside_viewer(token)
        self._require_good("token", claims.jti)
        self._require_good("account", claims.sub)
        version = max(claims.ver, self._versions.get(claims.sub, 0))
        return Viewer(
            account_id=claims.sub, version=version, family=claims.fam, token_version=claims.ver
        )

    def proof(self, request: web.Request, viewer: Viewer) -> PinProof | None:
        """That the PIN of one of the viewer's profiles was said; one that no longer counts is as
        none: what it would have opened stays shut."""
        token = request.headers.get(PROFILE_TOKEN_HEADER, "")
        try:
            claims = self._ports.profile_tokens.verify(token)
        except TokenError:
            return None
        if claims.sub != viewer.account_id:
            return None
        return PinProof(profile_id=claims.profile_id, pin_set_at_ms=claims.pin_set_at_ms)

    def pin_said(self, request: web.Request, viewer: Viewer, profile_id: str) -> int | None:
        """When the PIN was set that was said for the profile, Unix milliseconds; None: none was."""
        proof = self.proof(request, viewer)
        return proof.pin_set_at_ms if proof and proof.profile_id == profile_id else None

    def admin(self, request: web.Request, *roles: AdminRole) -> AdminClaims:
        """The holder of an administration token of one of the roles; ProblemError 401 or 403."""
        try:
            claims = self._ports.admin_tokens.verify(bearer_token(request))
        except TokenError as error:
            raise unauthorized() from error
        if claims.role not in roles:
            raise ProblemError(403, "role", "the token's role does not allow this")
        self._require_good("token", claims.jti)
        return claims

    def session(self, token: str) -> SessionClaims:
        """A session that goes on; ProblemError 401, or 403 where it is refused by now."""
        try:
            claims = self._ports.session_tokens.verify(token)
        except TokenError as error:
            raise unauthorized() from error
        if self.is_refused(claims.sid):
            raise ProblemError(403, "session-ended", "the session has ended")
        self._require_session_good(claims)
        self._leases.note(claims.account_id, claims.sid)
        return claims

    def session_of_events(self, token: str) -> SessionClaims:
        """A session whose events are taken: up to a week after its end; ProblemError 401."""
        try:
            claims = self._ports.session_tokens.verify(
                token, expired_for_s_max=self._late_events_s_max
            )
        except TokenError as error:
            raise unauthorized() from error
        if claims.exp * 1000 > self._ports.clock() and not self.is_refused(claims.sid):
            self._leases.note(claims.account_id, claims.sid)
        return claims

    def _require_good(self, kind: RevokedKind, subject: str) -> None:
        """Raises ProblemError: 401 for a token, else 403, where an operator took it back."""
        if self._ports.views.revocations.get(revocation_key(kind, subject)) is not None:
            if kind == "token":
                raise unauthorized()
            raise ProblemError(403, "revoked", "ask the operator of this service")

    def _require_session_good(self, claims: SessionClaims) -> None:
        if not self._ports.views.revocations.items():
            return  # mostly nothing is revoked, and this is asked for every segment's license
        self._require_good("token", claims.jti)
        self._require_good("session", claims.sid)
        self._require_good("account", claims.account_id)
        self._require_good("device", claims.device_id)
        self._require_good("model", claims.device_model)

    def is_refused(self, session_id: str) -> bool:
        """Whether the license agent wants the session refused."""
        control = self._ports.views.controls.get(session_id)
        return control is not None and control.is_refused

    def remember_version(self, account: AccountView) -> None:
        """The viewer has seen this version: whoever decides for it must have seen it too."""
        known = self._versions.pop(account.account_id, 0)
        self._versions[account.account_id] = max(known, account.version)
        if len(self._versions) > ACCOUNTS_MAX:
            self._versions.popitem(last=False)

    async def _outside_viewer(self, token: str) -> Viewer:
        account_id = await self._outside.account_of(token)
        if account_id is None:
            raise unauthorized()
        self._require_good("account", account_id)
        if account_id not in self._versions:
            account = await self._ports.asker.ask(
                ACCOUNT_REQUESTS,
                account_id,
                EnsureAccount(account_id=account_id),
                AccountView,
                deadline_ms=self._ports.config.limits.ask_deadline_ms,
            )
            self.remember_version(account)
        return Viewer(account_id=account_id, version=self._versions[account_id])


def bearer_token(request: web.Request) -> str:
    """The token of the Authorization header; ProblemError 401 where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_CHARS_MAX:
        raise unauthorized("invalid_request")
    return token
