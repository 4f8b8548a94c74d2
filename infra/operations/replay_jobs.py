"""Replays as files under PLAYHEAD_HOME/replays: what goes on after a kill, and what was done.

One file a replay, replaced whole after each chunk. It outlives kill -9 of the process; a power cut
may take the last chunks' progress with it, which are then read again and found stored.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from agents.analytics.replay import ReplayState
from infra.files import write_whole
from schemas.errors import PlayheadError

KEPT_MAX: Final = 100
"""Files of finished replays; the oldest go first."""


class ReplayCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as it was written: the same words go on with the same replay."""

    topic: str
    start: str = ""
    end: str = ""
    period: str = ""
    """Of `--replace`; empty: rows are added."""

    @property
    def key(self) -> str:
        """The name of its file while it is not finished."""
        return blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()


class ReplayJob(msgspec.Struct, frozen=True, kw_only=True):
    """One replay, running, stopped or finished."""

    command: ReplayCommand
    state: ReplayState
    started_at_ms: int
    updated_at_ms: int = 0
    finished_at_ms: int | None = None
    rate_max: int = 0
    rate_per_s: float = 0.0
    """Of this process, records."""
    rows_before: int = 0
    """Of `--replace`: rows of the period before its twin was begun."""
    taken_over: int = 0
    """Of `--replace`: rows that were copied into the twin before it was filled."""
    stored_until: dict[str, dict[int, int]] = {}
    """Of `--replace`: by topic and partition, what the sink had stored when that was copied."""

    @property
    def left_ms(self) -> int | None:
        """How long what is left will take at this rate; None: not known yet."""
        if self.finished_at_ms is not None:
            return 0
        return round(self.state.left_count / self.rate_per_s * 1000) if self.rate_per_s else None


class ReplayRunningError(PlayheadError):
    """The same replay runs already."""


class ReplayJobs:
    """The folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "replays"

    def unfinished(self, command: ReplayCommand) -> ReplayJob | None:
        """What an earlier process of the same command left; a damaged file counts as none."""
        return _read(self._file(command))

    def save(self, job: ReplayJob) -> None:
        """Replace the job's file; a finished one is kept under a name of its own."""
        file = self._file(job.command)
        content = msgspec.json.encode(job)
        if job.finished_at_ms is None:
            write_whole(file, content)
            return
        write_whole(self._folder / f"done-{job.finished_at_ms:014}-{job.command.key}.json", content)
        file.unlink(missing_ok=True)
        for old in sorted(self._folder.glob("done-*.json"))[:-KEPT_MAX]:
            old.unlink(missing_ok=True)

    def forget(self, command: ReplayCommand) -> None:
        """Begin anew the next time."""
        self._file(command).unlink(missing_ok=True)

    def list(self) -> list[ReplayJob]:
        """Those that are not finished, then the finished ones, latest first."""
        jobs = [job for path in self._folder.glob("*.json") if (job := _read(path)) is not None]
        return sorted(
            jobs, key=lambda job: (job.finished_at_ms is not None, -(job.finished_at_ms or 0))
        )

    def is_running(self, command: ReplayCommand) -> bool:
        """Whether a process works on it."""
        try:
            with self.holding(command):
                return False
        except ReplayRunningError:
            return True

    @contextmanager
    def holding(self, command: ReplayCommand) -> Iterator[None]:
        """Be the only process of this command; a killed one holds nothing.

        Raises ReplayRunningError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file(command).with_suffix(".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ReplayRunningError(
                    "the same replay runs already: playhead replay --list"
                ) from error
            yield

    def _file(self, command: ReplayCommand) -> Path:
        return self._folder / f"{command.key}.json"


def _read(file: Path) -> ReplayJob | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=ReplayJob)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
