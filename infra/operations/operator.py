"""What an operator may do by the deployment's own keys: issue tokens, call the admin API."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping
from typing import Any

import aiohttp

from infra.deployment import Deployment
from infra.keys.admin import issue_admin_token
from infra.keys.folder import KeyFolder
from schemas.errors import PlayheadError
from schemas.ids import derive_account_id
from schemas.tokens import AdminRole
from streams.clock import system_clock

CALL_TIMEOUT_S = 15
CALL_TOKEN_S = 300


class NoKeysError(PlayheadError):
    """There is no deployment in this home, or no longer."""


def require_keys(deployment: Deployment) -> KeyFolder:
    """The deployment's keys; commands never make new ones, which nobody would know."""
    if not (deployment.keys / "root.pub").exists():
        raise NoKeysError(
            f"{deployment.keys} holds no keys: set PLAYHEAD_HOME, or start with `make run`"
        )
    return KeyFolder(deployment.keys)


def operator_token(
    deployment: Deployment,
    role: AdminRole,
    *,
    subject: str,
    lifetime_s: int,
    contents: tuple[str, ...] = (),
) -> str:
    """A new token of the role. Raises NoKeysError, InvalidMessageError."""
    return issue_admin_token(
        require_keys(deployment).identity("operator"),
        role=role,
        subject=subject,
        lifetime_s=lifetime_s,
        contents=contents,
        now_ms=system_clock(),
        randomness=secrets.token_bytes(10),
    )


def account_id_of(deployment: Deployment, email: str) -> str:
    """The pseudonym of an address, as the gateway derives it."""
    normalized = unicodedata.normalize("NFC", email.strip())
    return derive_account_id(require_keys(deployment).deployment_secret(), normalized)


async def call_gateway(
    deployment: Deployment, method: str, path: str, role: AdminRole, body: Mapping[str, Any]
) -> Any:
    """The JSON that the gateway answers to an operator.

    Raises PlayheadError with its reason where it refuses, or where it is not there.
    """
    token = operator_token(deployment, role, subject="playhead command", lifetime_s=CALL_TOKEN_S)
    root = deployment.gateway_url()
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(root, timeout=timeout) as http,
            http.request(
                method, path, json=dict(body), headers={"Authorization": f"Bearer {token}"}
            ) as response,
        ):
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PlayheadError(
            f"the gateway at {root} does not answer ({type(error).__name__}): `playhead doctor`"
        ) from error
    if response.status >= 400:
        reason = answer.get("reason", "") if isinstance(answer, dict) else ""
        detail = answer.get("detail", "") if isinstance(answer, dict) else ""
        said = ": ".join(part for part in (reason, detail) if part)
        raise PlayheadError(f"the gateway refused ({response.status}) {said}")
    return answer
