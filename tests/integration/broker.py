"""A real Kafka broker for tests: started once per session, killed and restarted at will."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.kafka.launch import KafkaLaunch, prepare
from infra.kafka.readiness import wait_ready
from infra.supervisor.child import signal_group, start_child

STOP_TIMEOUT_S = 10


def runtime_folder() -> Path:
    """Where downloads are shared between test runs and `make run`."""
    default = Path(__file__).parents[2] / ".playhead" / "runtime"
    return Path(os.environ.get("PLAYHEAD_RUNTIME") or default)


class Broker:
    """One embedded broker; its port stays the same over restarts."""

    def __init__(self, launch: KafkaLaunch, output: Path) -> None:
        self._launch = launch
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return self._launch.bootstrap

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the broker and return once it answers."""
        self.spawn()
        await wait_ready(self.bootstrap)

    def spawn(self) -> None:
        """Start the process without waiting."""
        assert self._process is None
        with self._output.open("ab") as output:
            self._process = start_child(self._launch.argv, self._launch.env, output)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """A clean stop."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        signal_group(self._process.pid, number)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        finally:
            signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def running_kafka(home: Path, *, fsync: bool = False) -> Iterator[Broker]:
    """Run a ready broker with its data below `home`.

    In tests/conftest.py:

        @pytest.fixture(scope="session")
        def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
            with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
                yield broker
    """
    broker = Broker(prepare(home, 0, fsync, runtime=runtime_folder()), home / "kafka-output.log")
    try:
        asyncio.run(broker.start())
        yield broker
    finally:
        broker.kill()  # what it held is thrown away
