"""What a gateway is told at its start: settings resolved by wiring, and the limits it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.delivery.viewer import Cdn
from gateway.drm.upstreams import AnyUpstream
from gateway.forwarding import TrustedProxies
from schemas.sessions import DRMSystem


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound of the gateway, with its unit."""

    memory_bytes_max: int = 256 << 20
    """Bodies of all open requests together, as sent and as inflated."""
    events_work_bytes_max: int = 8 << 20
    """Bodies of events that are here and not answered: a second or two of work."""
    connection_bytes_max: int = 3 << 20
    connections_max: int = 8_192
    events_body_bytes_max: int = 1 << 20
    events_inflated_bytes_max: int = 2 << 20
    events_per_request_max: int = 500
    event_bytes_max: int = 64 << 10
    body_bytes_max: int = 64 << 10
    """Of every request that carries no events."""
    title_body_bytes_max: int = 1 << 20
    header_deadline_ms: int = 5_000
    body_deadline_ms: int = 10_000
    keep_alive_ms: int = 75_000
    ask_deadline_ms: int = 2_000
    credentials_deadline_ms: int = 5_000
    """Hashing a password takes its time."""
    network_tries_max: int = 60
    """Wrong passwords, sign-ups and resets of one network (/24 or /48) at once."""
    network_try_every_ms: int = 10_000
    """After those one more each time."""
    resume_wait_ms: int = 700
    """Longer than the session takes to open; nobody likes to begin again what was half seen."""
    device_names_deadline_ms: int = 500
    upstream_deadline_ms: int = 3_000
    """Of a license service, from the connection to its answer's last byte."""
    upstream_answer_bytes_max: int = 256 << 10
    upstream_connections_max: int = 64
    cmcd_wait_ms: int = 1_000
    unavailable_license_delay_ms: int = 1_000
    long_poll_ms_max: int = 30_000
    late_events_s_max: int = 7 * 86_400
    """How long after its end a session's token still counts for events."""
    drain_ms: int = 8_000


class OIDCIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """An outside identity provider.

    `jwks` is a path or an http(s) URL; empty: asked of the issuer (OpenID Connect Discovery 1.0).
    """

    issuer: str
    audience: str
    jwks: str = ""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process."""

    name: str
    """New for every start: the ledger and request-mode measurements are told apart by it."""
    host: str
    port: int
    public_url: str = ""
    """What players are told; empty: where the gateway turns out to listen."""
    cdns: tuple[Cdn, ...]
    """Never empty."""
    web_folder: Path | None = None
    """The player page and the console."""
    players_folder: Path | None = None
    """The player libraries, served below /players/."""
    page_settings: Mapping[str, str] = {}
    """Told to the page as they are (/page.json); no secrets."""
    connect_sources: tuple[str, ...] = ()
    """Further origins that the page may talk to (its content security policy)."""
    region_database: Path | None = None
    anonymizer_database: Path | None = None
    loopback_region: str = ""
    trusted_proxies: TrustedProxies = TrustedProxies()
    oidc_issuers: tuple[OIDCIssuer, ...] = ()
    drm_upstreams: Mapping[DRMSystem, AnyUpstream] = {}
    heartbeat_interval_ms: int = 10_000
    limits: Limits = Limits()
