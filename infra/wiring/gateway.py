"""The gateway, put together from the settings."""

from __future__ import annotations

import asyncio
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import msgspec

import gateway
from gateway.config import GatewayConfig, OIDCIssuer
from gateway.forwarding import TrustedProxies
from gateway.ports import GatewayPorts, StoredSessions
from gateway.serve import serve
from gateway.views import FollowedTopics
from infra.clickhouse.stored import ClickHouseSessions
from infra.demo.account import page_settings
from infra.deployment import Deployment
from infra.event_loop import run_process
from infra.keys.billing import FILE, BillingSecrets, read_secrets
from infra.keys.files import KeyFileError
from infra.logs import configure_logging
from infra.operations.processes import CommandProcesses
from infra.players.library import player_files
from infra.settings import SettingsError
from infra.wiring.drm_upstreams import read_drm_upstreams
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS, Parts, open_parts
from infra.workers import FIRST_INSTANCE, place_of
from schemas.envelope import Role
from schemas.sessions import SessionClaims
from schemas.tokens import (
    ACCESS_TOKEN_S,
    ACCESS_TYP,
    ADMIN_TOKEN_S_MAX,
    ADMIN_TYP,
    AUDIENCE,
    PROFILE_TOKEN_S,
    PROFILE_TYP,
    SESSION_TOKEN_S_MAX,
    SESSION_TYP,
    AccessClaims,
    AdminClaims,
    ProfileClaims,
)
from streams.producer import Publisher
from streams.requests import Asker
from streams.tokens import TokenVerifier

C = TypeVar("C", bound=msgspec.Struct)

QUESTIONS_GATHER_S: Final = 0.004
"""Questions that go together share what each would cost alone at broker, agent and gateway: two
fetches, three produces. At 300 a second 1.6 go together, and one waits 1 ms in the mean.
"""


def run_gateway_process(deployment: Deployment, *, instance: str = FIRST_INSTANCE) -> None:
    """The gateway in this process, until SIGTERM."""
    settings = deployment.settings
    configure_logging("gateway", settings.log_format, settings.log_level)
    run_process(_run(deployment, place_of("gateway", instance)))


async def _run(deployment: Deployment, place: str) -> None:
    async with open_parts(
        deployment,
        "playhead-gateway",
        delivery_timeout_ms=GATEWAY_DELIVERY_TIMEOUT_MS,
        holds_state_key=False,
    ) as parts:
        # A producer has one request under way at a time: a license would wait for the events'.
        requests = Publisher(
            parts.broker,
            client_id="playhead-gateway-requests",
            delivery_timeout_ms=GATEWAY_DELIVERY_TIMEOUT_MS,
            gather_s=QUESTIONS_GATHER_S,
        )
        asker = parts.asker("gateway", requests)
        followed = FollowedTopics(parts.broker, clock=parts.clock)
        await asyncio.gather(requests.start(), asker.start(), followed.start())
        try:
            async with aiohttp.ClientSession() as http:
                stored = ClickHouseSessions(deployment.reader_url(), http)
                ports = _ports(parts, asker, followed, stored)
                await serve(ports, deployment.run / f"{place}.json")
        finally:
            await followed.stop()
            await asker.stop()
            await requests.stop()


def _ports(
    parts: Parts, asker: Asker, followed: FollowedTopics, stored: StoredSessions
) -> GatewayPorts:
    return GatewayPorts(
        config=_config(parts.deployment),
        publisher=parts.publisher,
        asker=asker,
        views=followed.views,
        access_tokens=_verifier(parts, "account", AccessClaims, ACCESS_TYP, ACCESS_TOKEN_S),
        profile_tokens=_verifier(parts, "account", ProfileClaims, PROFILE_TYP, PROFILE_TOKEN_S),
        session_tokens=_verifier(parts, "license", SessionClaims, SESSION_TYP, SESSION_TOKEN_S_MAX),
        admin_tokens=_verifier(parts, "operator", AdminClaims, ADMIN_TYP, ADMIN_TOKEN_S_MAX),
        directory=parts.directory,
        deployment_secret=parts.keys.deployment_secret(),
        clock=parts.clock,
        randomness=secrets.token_bytes,
        billing_secrets=_billing_secrets(parts.deployment),
        stored=stored,
        operating=CommandProcesses(parts.deployment),
    )


def _billing_secrets(deployment: Deployment) -> BillingSecrets:
    """SettingsError where the file that the settings name is not one."""
    named = deployment.settings.billing_secrets
    path = Path(named) if named else deployment.keys / FILE
    if named or path.exists():
        try:
            read_secrets(path)
        except KeyFileError as error:
            raise SettingsError(f"PLAYHEAD_BILLING_SECRETS: {error}") from error
    return BillingSecrets(path)


def _verifier(
    parts: Parts, role: Role, claims: type[C], typ: str, lifetime_s_max: int
) -> TokenVerifier[C]:
    return TokenVerifier(
        parts.directory,
        role,
        claims,
        typ=typ,
        audience=AUDIENCE,
        lifetime_s_max=lifetime_s_max,
        clock=parts.clock,
    )


def _config(deployment: Deployment) -> GatewayConfig:
    settings, cdns = deployment.settings, deployment.cdns()
    return GatewayConfig(
        name=f"gateway-{secrets.token_hex(4)}",
        host=settings.gateway_host,
        port=settings.gateway_port,
        public_url=settings.public_url,
        cdns=cdns,
        web_folder=Path(gateway.__file__).parent / "web",
        players_folder=next(iter(player_files(deployment.runtime).values())).parent,
        page_settings=page_settings(deployment),
        connect_sources=tuple(cdn.base_url for cdn in cdns),
        region_database=_path(settings.region_database),
        anonymizer_database=_path(settings.anonymizer_database),
        trusted_proxies=TrustedProxies(
            networks=read_networks(settings.trusted_proxies), header=settings.forwarding_header
        ),
        loopback_region=settings.loopback_region,
        oidc_issuers=_oidc_issuers(settings.oidc_issuers),
        drm_upstreams=read_drm_upstreams(settings.drm_upstreams, deployment.keys),
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def read_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks by comma; a single address is one too. Raises SettingsError."""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise SettingsError(
            f"PLAYHEAD_TRUSTED_PROXIES: {error}; name networks as 10.0.0.0/8, 2001:db8::/32"
        ) from error


def _oidc_issuers(text: str) -> tuple[OIDCIssuer, ...]:
    if not text:
        return ()
    try:
        return msgspec.json.decode(text, type=tuple[OIDCIssuer, ...])
    except msgspec.MsgspecError as error:
        raise SettingsError(f"PLAYHEAD_OIDC_ISSUERS: {error}") from error
