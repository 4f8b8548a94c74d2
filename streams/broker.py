"""Where the log is, and how its names are prefixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

RETRY_BACKOFF_MS = 300
"""Between a reader's attempts to reach a broker that is away: a dozen of them ask at once."""


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A Kafka cluster and this deployment's part of it."""

    bootstrap: str
    """`host:port[,host:port]`."""
    namespace: str = ""
    security: Mapping[str, Any] = {}
    """aiokafka's keyword arguments for TLS and SASL; holds secrets."""

    def __repr__(self) -> str:
        return f"Broker({self.bootstrap!r}, namespace={self.namespace!r})"

    def physical(self, name: str) -> str:
        """The name of a topic or consumer group on the broker."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def logical(self, name: str) -> str:
        """The registry's name of a physical one."""
        return name.removeprefix(f"{self.namespace}.") if self.namespace else name

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client is opened with."""
        return {"bootstrap_servers": self.bootstrap, **self.security}
