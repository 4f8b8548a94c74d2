"""Every setting: its name, default, meaning; read from the environment or a `.env` file.

An unknown PLAYHEAD_ name or a value out of range stops the start with one clear line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PREFIX = "PLAYHEAD_"

Port = Annotated[int, Meta(ge=0, le=65535)]


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    """A field whose meaning is printed by `playhead settings`."""
    _MEANINGS.append((meaning, secret))
    return msgspec.field(default=default)


_MEANINGS: list[tuple[str, bool]] = []


class SettingsError(Exception):
    """A setting is unknown or out of range; the message is one line that says what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved settings of one deployment."""

    home: str = _setting(".playhead", "everything that is kept on disk")
    namespace: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{0,32}$")] = _setting(
        "", "prefix of topics, consumer groups and the database"
    )
    gateway_host: str = _setting("127.0.0.1", "where the gateway listens")
    gateway_port: Port = _setting(8080, "the gateway's port; 0: any free one")
    public_url: str = _setting("", "what players are told; empty: derived from host and port")
    kafka: str = _setting("", "bootstrap servers; empty: start the embedded broker")
    kafka_port: Port = _setting(9092, "port of the embedded broker")
    kafka_fsync: bool = _setting(False, "1: the embedded broker flushes before it acknowledges")
    kafka_replication: Annotated[int, Meta(ge=1, le=7)] = _setting(
        1, "replicas of each topic on an outside cluster"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _setting(
        "PLAINTEXT", "how clients talk to an outside broker"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _setting(
        "PLAIN", "SASL mechanism of an outside broker"
    )
    kafka_username: str = _setting("", "SASL user of an outside broker")
    kafka_password: str = _setting("", "SASL password of an outside broker", secret=True)
    kafka_ca_file: str = _setting("", "certificate authority of an outside broker's TLS")
    clickhouse: str = _setting(
        "", "http(s)://user:password@host:port/database; empty: the embedded engine", secret=True
    )
    clickhouse_port: Port = _setting(8123, "port of the embedded engine")
    cdn_urls: str = _setting(
        "http://127.0.0.1:8081,http://localhost:8082",
        "the CDN edges, by comma; each may be name=url; two host names, because Shaka Player "
        "fails over by host name without port",
    )
    storage: str = _setting("", "where titles are stored (file:// or s3://); empty: under home")
    region_database: str = _setting("", "MaxMind-format database")
    loopback_region: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] = _setting(
        "DE", "region of loopback addresses"
    )
    oidc_issuers: str = _setting(
        "", "JSON list of outside identity providers: issuer, audience, jwks (file or URL)"
    )
    key_provider: Literal["file"] = _setting("file", "who wraps content keys")
    trial_days: Annotated[int, Meta(ge=0, le=365)] = _setting(
        0, "how long a plan chosen at sign-up may be tried; 0: billing decides first"
    )
    demo: bool = _setting(True, "make demo titles and a demo account at the first start")
    log_format: Literal["text", "json"] = _setting("text", "how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "least log level")

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
            value="***" if secret and getattr(settings, name) else str(getattr(settings, name)),
            origin=given[name][1] if name in given else "default",
            meaning=meaning,
        )
        for name, (meaning, secret) in zip(Settings.__struct_fields__, _MEANINGS, strict=True)
    ]


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
