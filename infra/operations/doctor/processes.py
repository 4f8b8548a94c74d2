"""The supervisor, its components, and the ports they want."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from infra.deployment import Deployment
from infra.kafka.launch import broker_names
from infra.kafka.properties import SMALLEST_CLUSTER
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.moments import span
from infra.operations.status import ComponentLine, component_lines
from infra.supervisor.probes import fetch_status
from infra.supervisor.run_state import is_running, read_state

RESTARTS_MAX = 3
YOUNG_MS = 600_000
"""A component that was started again so lately may be dying over and over."""
_PLAIN = frozenset({*broker_names(SMALLEST_CLUSTER), "clickhouse", "migrations"})
"""Answer no /livez; the checks of log and store ask them."""
_UP = frozenset({"ready", "done"})


async def check_supervisor(deployment: Deployment, now_ms: int) -> list[Finding]:
    """Whether a supervisor runs, and none of its components dies over and over."""
    home = deployment.home
    state = read_state(home) if is_running(home) else None
    if state is None:
        return [bad("supervisor", f"none runs on {home}", "`make run`, or set PLAYHEAD_HOME")]
    up = span(now_ms - state.started_at_ms)
    found = [good("supervisor", f"process {state.pid}, up for {up}")]
    for line in component_lines(deployment, state):
        age_ms = now_ms - line.since_ms
        if line.restart_count >= RESTARTS_MAX and age_ms < YOUNG_MS:
            says = f"was started again {line.restart_count} times, last {span(age_ms)} ago"
            log = home / "logs" / f"{line.name}.log"
            found.append(bad(line.name, says, f"its log says why: {log}"))
    return found


async def check_components(deployment: Deployment, _: int) -> list[Finding]:
    """Every component's /livez and /readyz."""
    state = read_state(deployment.home) if is_running(deployment.home) else None
    lines = [line for line in component_lines(deployment, state) if not _is_asked_elsewhere(line)]
    return list(await asyncio.gather(*(_probe(deployment, line) for line in lines)))


async def check_ports(deployment: Deployment, _: int) -> list[Finding]:
    """Where nothing runs: whether the ports that will be needed are free."""
    if is_running(deployment.home):
        return [good("ports", "held by the components")]
    taken = [f"{name} {port}" for name, port in wanted_ports(deployment) if _is_taken(port)]
    if not taken:
        return [good("ports", "free")]
    mend = "stop what listens there, or set another one (0 takes any free port)"
    return [bad("ports", f"taken by others: {', '.join(taken)}", mend)]


def wanted_ports(deployment: Deployment) -> list[tuple[str, int]]:
    """Names and ports that a start on this machine would take."""
    settings = deployment.settings
    wanted = [("gateway", settings.gateway_port)]
    if not settings.kafka:
        names = broker_names(settings.kafka_brokers)
        wanted += [(name, settings.kafka_port + at) for at, name in enumerate(names)]
    if not settings.clickhouse:
        wanted.append(("clickhouse", settings.clickhouse_port))
    for cdn in deployment.cdns():
        parts = urlsplit(cdn.base_url)
        if parts.hostname in {"127.0.0.1", "localhost"} and parts.port:
            wanted.append((f"edge-{cdn.name}", parts.port))
    return [(name, port) for name, port in wanted if port]


async def _probe(deployment: Deployment, line: ComponentLine) -> Finding:
    log = deployment.home / "logs" / f"{line.name}.log"
    mend = f"its log says why: {log}"
    if line.status not in _UP:
        return bad(line.name, line.status, mend)
    if not line.address:
        return bad(line.name, "tells no address", mend)
    paths = ("/livez",) if line.name.startswith("edge-") else ("/livez", "/readyz")
    for path in paths:
        try:
            status = await fetch_status(f"http://{line.address}{path}")
        except (OSError, TimeoutError) as error:
            return bad(line.name, f"{path} does not answer ({type(error).__name__})", mend)
        if not 200 <= status < 300:
            return bad(line.name, f"{path} says {status}", mend)
    return good(line.name, f"answers on {line.address}")


def _is_asked_elsewhere(line: ComponentLine) -> bool:
    return line.name in _PLAIN and line.status in _UP


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
