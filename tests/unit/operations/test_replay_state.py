"""A replay that was killed goes on where it was, and keeps to its rate."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agents.analytics.pace import Pace
from agents.analytics.replay import Pending, ReplayProgress, ReplayState
from agents.analytics.windows import Span
from infra.operations.replay_jobs import (
    KEPT_MAX,
    ReplayCommand,
    ReplayJob,
    ReplayJobs,
    ReplayRunningError,
)

COMMAND = ReplayCommand(topic="playback.events.v1", start="2h")
STATE = ReplayState(
    left=(Span(partition=1, start=40, end=100),),
    progress=ReplayProgress(total=140, read=80, added=3, stored=77),
    pending=Pending(
        span=Span(partition=1, start=40, end=60), planned=ReplayProgress(total=0, read=20, added=2)
    ),
)


def a_job(**changes: object) -> ReplayJob:
    job = ReplayJob(command=COMMAND, state=STATE, started_at_ms=1_000, rate_per_s=20.0)
    return msgspec.structs.replace(job, **changes)


def test_the_same_words_go_on_with_the_same_replay(tmp_path: Path) -> None:
    jobs = ReplayJobs(tmp_path)
    with jobs.holding(COMMAND):
        jobs.save(a_job())
    assert ReplayJobs(tmp_path).unfinished(COMMAND) == a_job()
    assert jobs.unfinished(ReplayCommand(topic=COMMAND.topic, start="3h")) is None
    jobs.forget(COMMAND)
    assert jobs.unfinished(COMMAND) is None


def test_what_is_finished_begins_anew_and_is_remembered(tmp_path: Path) -> None:
    jobs = ReplayJobs(tmp_path)
    with jobs.holding(COMMAND):
        jobs.save(a_job())
        for at_ms in range(2_000, 2_000 + KEPT_MAX + 5):
            jobs.save(a_job(finished_at_ms=at_ms))
    assert jobs.unfinished(COMMAND) is None
    listed = jobs.list()
    assert len(listed) == KEPT_MAX
    assert listed[0].finished_at_ms == 2_000 + KEPT_MAX + 4
    assert listed[0].left_ms == 0


def test_a_damaged_file_is_no_replay(tmp_path: Path) -> None:
    jobs = ReplayJobs(tmp_path)
    with jobs.holding(COMMAND):
        jobs.save(a_job())
    (tmp_path / "replays" / f"{COMMAND.key}.json").write_bytes(b'{"command":')
    assert jobs.unfinished(COMMAND) is None


def test_two_processes_never_do_the_same_replay_and_a_killed_one_holds_nothing(
    tmp_path: Path,
) -> None:
    script = (
        "import os, pathlib, signal, sys;"
        "from infra.operations.replay_jobs import ReplayCommand, ReplayJobs;"
        f"jobs = ReplayJobs(pathlib.Path({str(tmp_path)!r}));"
        "held = jobs.holding(ReplayCommand(topic='playback.events.v1', start='2h'));"
        "held.__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        jobs = ReplayJobs(tmp_path)
        assert jobs.is_running(COMMAND)
        with pytest.raises(ReplayRunningError), jobs.holding(COMMAND):
            pass
        other.kill()
        other.wait()
        assert not jobs.is_running(COMMAND)


def test_time_left_follows_from_the_rate() -> None:
    assert a_job().left_ms == 3_000
    assert a_job(rate_per_s=0.0).left_ms is None


async def test_a_pace_is_kept_and_lost_time_is_not_caught_up_on() -> None:
    now_s, slept = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now_s[0] += seconds

    pace = Pace(100, clock_s=lambda: now_s[0], sleep=sleep)
    await pace.spend(50)
    await pace.spend(50)
    assert slept == [0.5, 0.5]
    now_s[0] += 60  # ClickHouse was away
    await pace.spend(100)  # took longer than its second
    await pace.spend(100)
    await pace.spend(100)
    assert slept[2:] == [1.0, 1.0]
    now_s[0] += 0.7  # handling the next
    await pace.spend(100)
    assert slept[4] == pytest.approx(0.3)
    await Pace(0, sleep=sleep).spend(1_000_000)
    assert len(slept) == 5
