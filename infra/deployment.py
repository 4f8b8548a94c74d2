"""Where everything of one deployment is: resolved from its settings and from what runs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.delivery.viewer import Cdn
from infra.clickhouse.writer import writer_password, writer_url
from infra.settings import Settings, SettingsError
from infra.supervisor.run_state import is_running, read_state
from streams.broker import Broker

_CDN_NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, and the questions that every command asks of them."""

    settings: Settings

    @property
    def home(self) -> Path:
        """PLAYHEAD_HOME."""
        return self.settings.home_path

    @property
    def keys(self) -> Path:
        """Private keys, 0600 each."""
        return self.home / "keys"

    @property
    def run(self) -> Path:
        """What runs now: ports and process ids."""
        return self.home / "run"

    @property
    def runtime(self) -> Path:
        """Jars and players that were downloaded."""
        return self.home / "runtime"

    @property
    def edge_token_file(self) -> Path:
        """The token that the demo edges show to the gateway."""
        return self.keys / "edge.token"

    @property
    def database(self) -> str:
        """The ClickHouse database."""
        return self.settings.namespace or "playhead"

    @property
    def storage_url(self) -> str:
        """Where titles are stored, as fsspec writes it."""
        return self.settings.storage or (self.home / "content").as_uri()

    def port_of(self, component: str, configured: int) -> int:
        """The port of an embedded component: the configured one, or what it turned out to be."""
        if configured:
            return configured
        state = read_state(self.home) if is_running(self.home) else None
        for running in state.components if state is not None else ():
            if running.name == component and running.port:
                return running.port
        raise SettingsError(f"{component} has no port: nothing runs on {self.home}; `make run`")

    def broker(self) -> Broker:
        """The Kafka cluster, embedded or not."""
        settings = self.settings
        return Broker(
            bootstrap=settings.kafka or ",".join(f"127.0.0.1:{port}" for port in self._ports()),
            namespace=settings.namespace,
            security=_security(settings),
        )

    def _ports(self) -> Sequence[int]:
        """Of the embedded brokers."""
        first = self.port_of("kafka", self.settings.kafka_port)
        return range(first, first + self.settings.kafka_brokers)

    @property
    def replication(self) -> int:
        """Replicas of each topic."""
        settings = self.settings
        return settings.kafka_replication if settings.kafka else settings.kafka_brokers

    def clickhouse_url(self) -> str:
        """The writer's URL; holds a password."""
        if self.settings.clickhouse:
            return self.settings.clickhouse
        port = self.port_of("clickhouse", self.settings.clickhouse_port)
        return writer_url("127.0.0.1", port, writer_password(self.home), self.database)

    def reader_url(self) -> str:
        """The URL of the read-only user of the embedded engine; else the given one."""
        if self.settings.clickhouse:
            return self.settings.clickhouse
        port = self.port_of("clickhouse", self.settings.clickhouse_port)
        return f"http://default@127.0.0.1:{port}/{self.database}"

    def reader_address(self) -> str:
        """Where ClickHouse answers, without credentials."""
        parts = urlsplit(self.reader_url())
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}"

    def gateway_url(self) -> str:
        """Where this machine reaches the gateway."""
        port = self.port_of("gateway", self.settings.gateway_port)
        return f"http://{self.settings.gateway_host}:{port}"

    def cdns(self) -> tuple[Cdn, ...]:
        """The CDN edges in their configured order.

        Raises SettingsError where there is none or a name comes twice.
        """
        parts = [part.strip() for part in self.settings.cdn_urls.split(",") if part.strip()]
        cdns = [_cdn(part, default) for part, default in zip(parts, _CDN_NAMES, strict=False)]
        if not cdns or len({cdn.name for cdn in cdns}) != len(parts):
            raise SettingsError("PLAYHEAD_CDN_URLS: one to six edges by comma, names once each")
        return tuple(cdns)


def _cdn(part: str, default_name: str) -> Cdn:
    name, separator, url = part.partition("=")
    if not separator or "/" in name:
        name, url = default_name, part
    return Cdn(name=name, base_url=url.rstrip("/"))


def _security(settings: Settings) -> Mapping[str, Any]:
    security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        security["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    if settings.kafka_security_protocol.startswith("SASL"):
        security["sasl_mechanism"] = settings.kafka_sasl_mechanism
        security["sasl_plain_username"] = settings.kafka_username
        security["sasl_plain_password"] = settings.kafka_password
    return security
