"""Makes Java's ahead-of-time cache for the broker, which then starts in half the time."""

import asyncio
import fcntl
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.kafka.errors import KafkaSetupError
from infra.kafka.launch import KafkaLaunch, has_aot_cache, prepare
from infra.kafka.readiness import wait_ready
from infra.supervisor.child import signal_group, start_child

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 120
POLL_INTERVAL_S = 0.1


async def train(runtime: Path, *, niceness: int = 19) -> bool:
    """Make the cache with a throw-away broker if it is not there; return whether it was made.

    Call it when everything is ready: it takes some fifteen seconds of one core, at the lowest
    priority, and 70 MB below `runtime`. When cancelled it leaves no process.
    Raises KafkaSetupError when Java made none, TimeoutError when the broker never came.
    """
    async with _alone(runtime / "kafka-aot.lock"):
        if await asyncio.to_thread(has_aot_cache, runtime):
            return False
        await asyncio.to_thread(_sweep, runtime)
        with tempfile.TemporaryDirectory(prefix="kafka-aot-", dir=runtime) as scratch:
            made = Path(scratch) / "made.aot"
            record = (f"-XX:AOTCacheOutput={made}",)
            launch = await asyncio.to_thread(
                prepare, Path(scratch), 0, False, runtime=runtime, options=record
            )
            await _run_once(launch, niceness)
            _replace(made, launch.aot_cache)
    return True


@asynccontextmanager
async def _alone(lock_file: Path) -> AsyncIterator[None]:
    """One maker at a time; a thread that waited for the lock could not be cancelled."""
    with lock_file.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(POLL_INTERVAL_S)
        yield


def _sweep(runtime: Path) -> None:
    """Remove what makers that were killed have left."""
    for left in runtime.glob("kafka-aot-*"):
        shutil.rmtree(left)


async def _run_once(launch: KafkaLaunch, niceness: int) -> None:
    """Start the broker, wait until it is ready, stop it cleanly: Java records when it ends."""
    argv = ("nice", "-n", str(niceness), *launch.argv)
    process = start_child(argv, launch.env, subprocess.DEVNULL)
    try:
        await wait_ready(launch.bootstrap, START_TIMEOUT_S)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while process.poll() is None:  # noqa: ASYNC110 (the event is another process's end)
                await asyncio.sleep(POLL_INTERVAL_S)
    finally:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _replace(made: Path, cache: Path) -> None:
    if not made.is_file():
        raise KafkaSetupError("Java ended without leaving an ahead-of-time cache")
    for outdated in cache.parent.glob("kafka-*.aot"):
        outdated.unlink()
    made.rename(cache)
