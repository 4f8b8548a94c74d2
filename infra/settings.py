"""Every setting: its name, default, meaning; read from the environment or a `.env` file.

An unknown PLAYHEAD_ name or a value out of range stops the start with one clear line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import msgspec
from msgspec import Meta

PREFIX = "PLAYHEAD_"

Port = Annotated[int, Meta(ge=0, le=65535)]


class SettingsError(Exception):
    """A setting is unknown or out of range; the message is one line that says what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved settings of one deployment; each says what it means."""

    home: Annotated[str, Meta(description="everything that is kept on disk")] = ".playhead"
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9_-]{0,32}$",
            description="prefix of topics, consumer groups and the database",
        ),
    ] = ""
    gateway_host: Annotated[str, Meta(description="where the gateway listens")] = "127.0.0.1"
    gateway_port: Annotated[Port, Meta(description="the gateway's port; 0: any free one")] = 8080
    public_url: Annotated[
        str, Meta(description="what players are told; empty: derived from host and port")
    ] = ""
    kafka: Annotated[
        str, Meta(description="bootstrap servers; empty: start the embedded broker")
    ] = ""
    kafka_port: Annotated[Port, Meta(description="port of the embedded broker")] = 9092
    kafka_fsync: Annotated[
        bool, Meta(description="1: the embedded broker flushes before it acknowledges")
    ] = False
    kafka_brokers: Annotated[
        Literal[1, 3],
        Meta(
            description="embedded brokers, on ports one after the other: of 3, one may die without "
            "anybody waiting longer than 3 s; chosen before the first start"
        ),
    ] = 1
    kafka_replication: Annotated[
        int, Meta(ge=1, le=7, description="replicas of each topic on an outside cluster")
    ] = 1
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="how clients talk to an outside broker"),
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="SASL mechanism of an outside broker"),
    ] = "PLAIN"
    kafka_username: Annotated[str, Meta(description="SASL user of an outside broker")] = ""
    kafka_password: Annotated[
        str, Meta(description="SASL password of an outside broker", extra={"secret": True})
    ] = ""
    kafka_ca_file: Annotated[
        str, Meta(description="certificate authority of an outside broker's TLS")
    ] = ""
    clickhouse: Annotated[
        str,
        Meta(
            description="http(s)://user:password@host:port/database; empty: the embedded engine",
            extra={"secret": True},
        ),
    ] = ""
    clickhouse_port: Annotated[Port, Meta(description="port of the embedded engine")] = 8123
    cdn_urls: Annotated[
        str,
        Meta(
            description="the CDN edges, by comma, each a URL or name=URL; give each a host name of "
            "its own, because Shaka Player fails over by host name without port"
        ),
    ] = "http://127.0.0.1:8081,http://localhost:8082"
    storage: Annotated[
        str, Meta(description="where titles are stored (file:// or s3://); empty: under home")
    ] = ""
    region_database: Annotated[str, Meta(description="MaxMind-format database")] = ""
    anonymizer_database: Annotated[
        str,
        Meta(
            description="MaxMind-format database of VPN, hosting, proxy and Tor addresses; empty: "
            "the region database is asked for them too"
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description="networks (CIDR, by comma) whose word on a client's address is believed; "
            "empty: nobody's"
        ),
    ] = ""
    forwarding_header: Annotated[
        Literal["X-Forwarded-For", "Forwarded"],
        Meta(description="the header that the trusted proxies write; the other one is never read"),
    ] = "X-Forwarded-For"
    loopback_region: Annotated[
        str, Meta(pattern=r"^[A-Z]{2}$", description="region of loopback addresses")
    ] = "DE"
    oidc_issuers: Annotated[
        str,
        Meta(
            description="JSON list of outside identity providers: issuer, audience, "
            "jwks (file or URL; without it the issuer is asked where its keys are)"
        ),
    ] = ""
    billing_secrets: Annotated[
        str,
        Meta(
            description="file of the secrets that billing events are signed with, a `whsec_…` a "
            "line; empty: billing.secrets in the key folder, where it is there"
        ),
    ] = ""
    drm_upstreams: Annotated[
        str,
        Meta(
            description="license services of widevine, playready and fairplay: JSON by system, or "
            "the path of a file that holds it; secrets stay in files of their own "
            "(gateway/drm/README.md)"
        ),
    ] = ""
    license_policy: Annotated[
        str,
        Meta(
            description="TOML file of the license policy (`playhead license policy` prints one); "
            "read when license workers start; empty: the built-in one"
        ),
    ] = ""
    key_provider: Annotated[
        Literal["file", "pkcs11"],
        Meta(description="who holds the root of content keys: a private file, or a PKCS#11 token"),
    ] = "file"
    pkcs11_module: Annotated[str, Meta(description="the token's PKCS#11 library, a path")] = ""
    pkcs11_token: Annotated[str, Meta(description="the token's label")] = ""
    pkcs11_key: Annotated[str, Meta(description="label of the root key in the token")] = (
        "playhead-root"
    )
    pkcs11_pin_file: Annotated[
        str, Meta(description="a file with the token's PIN, its owner's only (0600)")
    ] = ""
    packager_certificates: Annotated[
        str,
        Meta(
            description="PEM file of the certificates that packagers outside get content keys "
            "encrypted for (POST /v1/keys/speke); empty: none gets any"
        ),
    ] = ""
    packager_plain_keys: Annotated[
        bool,
        Meta(
            description="1: packagers outside that name no certificate get content keys in clear, "
            "and so would a gateway that was broken into; TLS alone keeps them"
        ),
    ] = False
    trial_days: Annotated[
        int,
        Meta(
            ge=0,
            le=365,
            description="how long a plan chosen at sign-up may be tried; 0: billing decides first",
        ),
    ] = 0
    demo: Annotated[
        bool, Meta(description="make demo titles and a demo account at the first start")
    ] = True
    canary: Annotated[
        bool, Meta(description="probe each minute: an event and a license through the whole path")
    ] = True
    log_format: Annotated[Literal["text", "json"], Meta(description="how log lines look")] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least log level")
    ] = "info"

    def __repr__(self) -> str:
        return "Settings(***)"

    @property
    def home_path(self) -> Path:
        """The home as an absolute path."""
        return Path(self.home).absolute()


class ExplainedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `playhead settings`."""

    name: str
    value: str
    origin: Literal["default", "environment", ".env"]
    meaning: str


def load_settings(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> Settings:
    """The settings of this process; the environment wins over `.env`.

    Raises SettingsError.
    """
    given = {name: value for name, (value, _) in _given(environment, dotenv).items()}
    try:
        return msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_said(error, given)) from error


def explain_settings(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> list[ExplainedSetting]:
    """Every setting with value, origin and meaning; secrets masked."""
    settings = load_settings(environment, dotenv)
    given = _given(environment, dotenv)
    return [
        ExplainedSetting(
            name=PREFIX + name.upper(),
            value=_shown(getattr(settings, name), meta),
            origin=given[name][1] if name in given else "default",
            meaning=meta.description or "",
        )
        for name, meta in _metas().items()
    ]


def _metas() -> dict[str, Meta]:
    """What each setting's type says of it, in order."""
    hints = get_type_hints(Settings, include_extras=True)
    return {
        name: next(m for m in reversed(hints[name].__metadata__) if m.description)
        for name in Settings.__struct_fields__
    }


def _shown(value: object, meta: Meta) -> str:
    return "***" if value and (meta.extra or {}).get("secret") else str(value)


_Origin = Literal["environment", ".env"]


def _given(
    environment: Mapping[str, str] | None, dotenv: Path | None
) -> dict[str, tuple[str, _Origin]]:
    sources: list[tuple[Mapping[str, str], _Origin]] = [
        (_read_dotenv(Path(".env") if dotenv is None else dotenv), ".env"),
        (os.environ if environment is None else environment, "environment"),
    ]
    given: dict[str, tuple[str, _Origin]] = {}
    for values, origin in sources:
        for name, value in values.items():
            if name.startswith(PREFIX):
                given[_field(name)] = (value, origin)
    return given


_BESIDE = {"runtime"}
"""Names that other parts read by themselves: where tests share what was downloaded."""


def _field(name: str) -> str:
    field = name.removeprefix(PREFIX).lower()
    if field not in Settings.__struct_fields__ and field not in _BESIDE:
        raise SettingsError(f"{name} is not a setting; `playhead settings` lists them all")
    return field


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _said(error: msgspec.ValidationError, given: Mapping[str, str]) -> str:
    text = str(error)
    for name in given:
        if f"`$.{name}`" in text:
            said = text.replace(f" - at `$.{name}`", "")
            return f"{PREFIX}{name.upper()}: {said}; `playhead settings` says what it may be"
    return text
