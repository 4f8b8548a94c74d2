"""What runs, where, since when; how far everybody is; what it occupies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec

from infra.deployment import Deployment
from infra.operations.commits import GroupStatus, read_groups
from infra.operations.disk import FolderSize, folder_sizes, free_bytes
from infra.operations.log_access import CONSUMER_GROUPS
from infra.settings import SettingsError
from infra.supervisor.run_state import ComponentState, RunState, is_running, read_state
from schemas.errors import PlayheadError

LOG_TIMEOUT_S = 30


class ComponentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One component of the supervisor."""

    name: str
    status: str
    pid: int
    address: str
    """Where it answers; empty where it has no port."""
    since_ms: int
    restart_count: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `playhead status` prints."""

    home: str
    namespace: str
    is_running: bool
    """Whether a supervisor of this home lives; components alone may run without one."""
    started_at_ms: int | None
    components: tuple[ComponentLine, ...]
    groups: tuple[GroupStatus, ...]
    log_error: str
    """Why nothing is known of the groups; empty where it is."""
    folders: tuple[FolderSize, ...]
    free_bytes: int


async def read_status(deployment: Deployment, now_ms: int) -> Status:
    """The status now; what cannot be asked is said, not raised."""
    home = deployment.home
    state = read_state(home) if is_running(home) else None
    groups, log_error = await _groups(deployment, now_ms)
    folders = await asyncio.to_thread(folder_sizes, home)
    return Status(
        home=str(home),
        namespace=deployment.settings.namespace,
        is_running=state is not None,
        started_at_ms=state.started_at_ms if state is not None else None,
        components=component_lines(deployment, state),
        groups=groups,
        log_error=log_error,
        folders=tuple(folders),
        free_bytes=free_bytes(home),
    )


def component_lines(deployment: Deployment, state: RunState | None) -> tuple[ComponentLine, ...]:
    """The supervisor's table with addresses; nothing where there is no supervisor."""
    return tuple(
        ComponentLine(
            name=component.name,
            status=component.status,
            pid=component.pid,
            address=address_of(deployment, component),
            since_ms=component.since_ms,
            restart_count=component.restart_count,
        )
        for component in (state.components if state is not None else ())
    )


def address_of(deployment: Deployment, component: ComponentState) -> str:
    """`host:port`: the supervisor's, or what the process has told itself; else empty."""
    if component.port:
        is_gateway = component.name == "gateway"
        host = deployment.settings.gateway_host if is_gateway else "127.0.0.1"
        return f"{host}:{component.port}"
    told = announced(deployment.run / f"worker-{component.name}.json")
    return f"{told['host']}:{told['port']}" if told else ""


def announced(file: Path) -> dict[str, str]:
    """What a process told of itself; empty where there is none, or half of it."""
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: str(said[name]) for name in ("host", "port") if name in said} or {}


async def _groups(deployment: Deployment, now_ms: int) -> tuple[tuple[GroupStatus, ...], str]:
    try:
        async with asyncio.timeout(LOG_TIMEOUT_S):
            return tuple(await read_groups(deployment.broker(), CONSUMER_GROUPS, now_ms)), ""
    except (PlayheadError, SettingsError) as error:
        return (), str(error)
    except TimeoutError:
        return (), f"Kafka did not answer within {LOG_TIMEOUT_S} s"
