"""The accounts of simulated viewers: signed up once, subscribed by the operator, used again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.deployment import Deployment
from infra.keys.files import read_private, write_private
from infra.operations.households import read_accounts
from infra.operations.operator import account_id_of, operator_token
from infra.simulate.client import GatewayClient
from schemas.accounts import Account
from schemas.errors import PlayheadError

SEATS_PER_ACCOUNT: Final = 4
"""The streams of a premium plan."""
SIGN_UPS_AT_ONCE: Final = 2
"""Each costs the account agent a password hash."""
RENEW_BEFORE_S: Final = 60
_PASSWORD_FILE: Final = "simulate.password"  # noqa: S105 - a file's name


class SignInError(PlayheadError):
    """A simulated account cannot be used."""


class SimulatedAccount:
    """One account; its access token is renewed by itself."""

    def __init__(self, email: str, password: str) -> None:
        self.email = email
        self._password = password
        self._token = ""
        self._ends_at_s = 0.0
        self._renewing = asyncio.Lock()
        self.profile_id = ""

    def __repr__(self) -> str:
        return f"SimulatedAccount({self.email})"

    async def prepare(
        self, client: GatewayClient, deployment: Deployment, known: Mapping[str, Account]
    ) -> None:
        """Sign up and subscribe where that was not done; sign in. Raises SignInError."""
        account_known = known.get(account_id_of(deployment, self.email))
        if account_known is None or account_known.subscription.state != "active":
            credentials = {"email": self.email, "password": self._password}
            signed_up = await client.call("sign-up", "POST", "/v1/accounts", json=credentials)
            if signed_up.status != 201:
                raise SignInError(f"no account for {self.email}: {signed_up.reason}")
            await self._subscribe(client, deployment)
        token = await self.token(client)
        account = await client.call("account", "GET", "/v1/account", token=token)
        profiles = account.json().get("profiles", [])
        if profiles:
            self.profile_id = profiles[0]["profile_id"]
            return
        made = await client.call(
            "profile", "POST", "/v1/profiles", json={"name": "Simulated"}, token=token
        )
        if made.status != 201:
            raise SignInError(f"no profile for {self.email}: {made.reason}")
        self.profile_id = made.json()["profile_id"]

    async def token(self, client: GatewayClient) -> str:
        """An access token that counts for a minute at least. Raises SignInError."""
        async with self._renewing:
            if time.monotonic() < self._ends_at_s - RENEW_BEFORE_S:
                return self._token
            answer = await client.call(
                "sign-in",
                "POST",
                "/v1/tokens",
                json={
                    "grant_type": "password",
                    "username": self.email,
                    "password": self._password,
                },
            )
            if not answer.is_ok:
                raise SignInError(f"{self.email} cannot sign in: {answer.reason}")
            found = answer.json()
            self._token = found["access_token"]
            self._ends_at_s = time.monotonic() + found["expires_in"]
            return self._token

    async def _subscribe(self, client: GatewayClient, deployment: Deployment) -> None:
        account_id = account_id_of(deployment, self.email)
        answer = await client.call(
            "subscription",
            "PUT",
            f"/v1/admin/accounts/{account_id}/subscription",
            json={"plan": "premium", "state": "active"},
            token=operator_token(deployment, "billing", subject="simulation", lifetime_s=300),
        )
        if not answer.is_ok:
            raise SignInError(f"no subscription for {self.email}: {answer.reason}")


async def prepare_accounts(
    client: GatewayClient, deployment: Deployment, viewers: int
) -> list[SimulatedAccount]:
    """As many accounts as so many viewers need, ready to open sessions. Raises SignInError."""
    password = simulation_password(deployment.keys / _PASSWORD_FILE)
    accounts = [
        SimulatedAccount(f"simulated-{number}@playhead.example", password)
        for number in range(-(-viewers // SEATS_PER_ACCOUNT))
    ]
    known = await read_accounts(deployment)  # a sign-up does not tell whether there is one
    slots = asyncio.Semaphore(SIGN_UPS_AT_ONCE)

    async def prepare(account: SimulatedAccount) -> None:
        async with slots:
            await account.prepare(client, deployment, known)

    async with asyncio.TaskGroup() as group:
        for account in accounts:
            group.create_task(prepare(account))
    return accounts


def simulation_password(file: Path) -> str:
    """This deployment's own, made at the first call: a known one would open real sessions."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(18).encode())
    return read_private(file).decode()
