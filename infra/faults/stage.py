"""The deployment that is struck: everything but the edges, its links led through fault proxies."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from infra.clickhouse.writer import ensure_users, writer_url
from infra.faults.amendments import Amendment, Launchers, kafka_listeners
from infra.faults.proxy import FaultProxy
from infra.faults.schedule import Place
from infra.sandbox import Sandbox, running_components, share_runtime
from infra.settings import Settings
from infra.stack import free_port, with_ports
from infra.workers import WORKER_NAMES

WITHOUT_EDGES: Final = ("kafka", "clickhouse", "migrations", "gateway", *WORKER_NAMES)
DATABASE: Final = "playhead"


@dataclass(frozen=True, slots=True)
class Stage:
    """A running deployment and the proxies before its parts."""

    sandbox: Sandbox
    proxies: Mapping[Place, FaultProxy]

    @property
    def clients_url(self) -> str:
        """Where clients reach the gateway, through a proxy."""
        return f"http://127.0.0.1:{self.proxies['client-gateway'].port}"


@asynccontextmanager
async def running_stage(
    home: Path,
    *,
    runtime: Path | None,
    seed: int,
    only: Sequence[str] = WITHOUT_EDGES,
    launchers: Launchers | None = None,
) -> AsyncIterator[Stage]:
    """Run it until the block ends. `launchers` put other programs in the place of components."""
    share_runtime(home, runtime)
    chance = random.Random(seed)  # noqa: S311 - a run is to be repeated
    ports = {name: free_port() for name in ("gateway", "clickhouse", "by-gateway", "by-analytics")}
    proxies: dict[Place, FaultProxy] = {
        "client-gateway": FaultProxy(ports["gateway"], chance),
        "analytics-clickhouse": FaultProxy(ports["clickhouse"], chance),
        "gateway-kafka": FaultProxy(ports["by-gateway"], chance),
        "analytics-kafka": FaultProxy(ports["by-analytics"], chance),
    }
    async with AsyncExitStack() as stack:
        for proxy in proxies.values():
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        amendments = _amendments(ensure_users(home), proxies, launchers or {})
        program = ("-m", "infra.faults.supervised", msgspec.json.encode(amendments).decode())
        settings = with_ports(
            Settings(
                home=str(home),
                gateway_port=ports["gateway"],
                kafka_port=0,
                clickhouse_port=ports["clickhouse"],
                demo=False,
                canary=False,
            )
        )
        sandbox = await stack.enter_async_context(
            running_components(settings, only=only, program=program)
        )
        yield Stage(sandbox, proxies)


def _amendments(
    password: str, proxies: Mapping[Place, FaultProxy], launchers: Launchers
) -> list[Amendment]:
    """Each component is told the address of its proxy; Kafka advertises it, too."""

    def address(link: Place) -> str:
        return f"127.0.0.1:{proxies[link].port}"

    through = writer_url("127.0.0.1", proxies["analytics-clickhouse"].port, password, DATABASE)
    links: tuple[Place, ...] = ("gateway-kafka", "analytics-kafka")
    listeners = {
        link.upper().replace("-", "_"): (proxies[link].target_port, proxies[link].port)
        for link in links
    }
    amendments = [
        Amendment(component="kafka", listeners=kafka_listeners(listeners)),
        Amendment(component="gateway", env={"PLAYHEAD_KAFKA": address("gateway-kafka")}),
        Amendment(
            component="analytics",
            env={"PLAYHEAD_KAFKA": address("analytics-kafka"), "PLAYHEAD_CLICKHOUSE": through},
        ),
    ]
    return [
        *amendments,
        *(Amendment(component=name, launcher=tuple(words)) for name, words in launchers.items()),
    ]
