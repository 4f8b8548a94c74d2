"""What runs, kept in HOME/run for `playhead status` and for the next start."""

import fcntl
import os
from pathlib import Path
from typing import IO, Literal

import msgspec

from infra.files import write_whole
from infra.supervisor.errors import SupervisorRunningError

STATE_FILE = "supervisor.json"
LOCK_FILE = "supervisor.lock"

ComponentStatus = Literal["waiting", "starting", "ready", "restarting", "done", "stopped"]


class ComponentState(msgspec.Struct, frozen=True, kw_only=True):
    """One component as of now; `pid` is 0 while it has no process."""

    name: str
    status: ComponentStatus
    pid: int = 0
    port: int | None = None
    since_ms: int = 0
    restart_count: int = 0


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor and its components; `run_id` marks the environment of every process."""

    run_id: str
    pid: int
    started_at_ms: int
    components: tuple[ComponentState, ...] = ()


def write_state(home: Path, state: RunState) -> None:
    """Replace the state file at once, so that a reader never sees half of it."""
    content = msgspec.json.format(msgspec.json.encode(state), indent=2)
    write_whole(home / "run" / STATE_FILE, content)


def read_state(home: Path) -> RunState | None:
    """The last state that a supervisor of `home` wrote, if any; it may have ended since."""
    try:
        return msgspec.json.decode((home / "run" / STATE_FILE).read_bytes(), type=RunState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def is_running(home: Path) -> bool:
    """Whether a supervisor of `home` lives."""
    try:
        lock = (home / "run" / LOCK_FILE).open()
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def take_lock(home: Path) -> IO[str]:
    """Hold the returned file open to be the only supervisor of `home`.

    Raises SupervisorRunningError when there is one; a dead one holds nothing.
    """
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK_FILE).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise SupervisorRunningError(
            f"Playhead already runs on {home} (process {owner}): stop it, or set PLAYHEAD_HOME"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
