"""The gateway, put together from the settings."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
import uvloop

import gateway
from gateway.config import GatewayConfig, OIDCIssuer
from gateway.ports import GatewayPorts, StoredSessions
from gateway.serve import serve
from gateway.views import FollowedTopics
from infra.clickhouse.stored import ClickHouseSessions
from infra.demo.account import page_settings
from infra.deployment import Deployment
from infra.logs import configure_logging
from infra.operations.processes import CommandProcesses
from infra.players.library import player_files
from infra.settings import SettingsError
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS, Parts, open_parts
from infra.workers import FIRST_INSTANCE, place_of
from schemas.envelope import Role
from schemas.sessions import SessionClaims
from schemas.tokens import (
    ACCESS_TYP,
    ADMIN_TYP,
    AUDIENCE,
    SESSION_TYP,
    AccessClaims,
    AdminClaims,
)
from streams.producer import Publisher
from streams.requests import Asker
from streams.tokens import TokenVerifier

C = TypeVar("C", bound=msgspec.Struct)


def run_gateway_process(deployment: Deployment, *, instance: str = FIRST_INSTANCE) -> None:
    """The gateway in this process, until SIGTERM."""
    settings = deployment.settings
    configure_logging("gateway", settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(deployment, place_of("gateway", instance)))


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
        access_tokens=_verifier(parts, "account", AccessClaims, ACCESS_TYP),
        session_tokens=_verifier(parts, "license", SessionClaims, SESSION_TYP),
        admin_tokens=_verifier(parts, "operator", AdminClaims, ADMIN_TYP),
        directory=parts.directory,
        deployment_secret=parts.keys.deployment_secret(),
        clock=parts.clock,
        randomness=secrets.token_bytes,
        stored=stored,
        operating=CommandProcesses(parts.deployment),
    )


def _verifier(parts: Parts, role: Role, claims: type[C], typ: str) -> TokenVerifier[C]:
    return TokenVerifier(
        parts.directory, role, claims, typ=typ, audience=AUDIENCE, clock=parts.clock
    )


def _config(deployment: Deployment) -> GatewayConfig:
    settings, cdns = deployment.settings, deployment.cdns()
    region_database = settings.region_database
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
        region_database=Path(region_database) if region_database else None,
        loopback_region=settings.loopback_region,
        oidc_issuers=_oidc_issuers(settings.oidc_issuers),
    )


def _oidc_issuers(text: str) -> tuple[OIDCIssuer, ...]:
    if not text:
        return ()
    try:
        return msgspec.json.decode(text, type=tuple[OIDCIssuer, ...])
    except msgspec.MsgspecError as error:
        raise SettingsError(f"PLAYHEAD_OIDC_ISSUERS: {error}") from error
