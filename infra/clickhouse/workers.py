"""Everything that statements run on: the engine, its sessions, and the threads, with their start
and their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from infra.clickhouse.data_files import DataFiles
from infra.clickhouse.engine import Engine
from infra.clickhouse.handles import Ready, ready_handle
from infra.clickhouse.lanes import Lane
from infra.clickhouse.limits import Limits
from infra.clickhouse.request import StatementRequest
from infra.clickhouse.running import Running, Ticket
from infra.clickhouse.sessions import Sessions
from infra.clickhouse.users import User

T = TypeVar("T")


class Workers:
    """Created and used on the event loop; `default_database` is where a request that names none
    looks.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        now_seconds: Callable[[], float],
        default_database: str,
        files: DataFiles,
    ) -> None:
        self.engine = engine
        self.limits = limits
        self.files = files
        self.bodies = ThreadPoolExecutor(limits.body_thread_count, "bodies")
        self._sessions = Sessions(engine, now_seconds, limits.session_count_max)
        self._running = Running(engine)
        self._jobs: set[asyncio.Future[Any]] = set()
        self._default_database = default_database
        self._readers = Lane(
            "reader",
            slot_count=limits.reader_slot_count,
            thread_count=limits.reader_thread_count,
            queue_seconds_max=limits.queue_seconds_max,
        )
        self._writers = Lane(
            "writer",
            slot_count=limits.writer_slot_count,
            thread_count=limits.writer_thread_count,
            queue_seconds_max=limits.queue_seconds_max,
        )
        # Cancelling and the health check never wait behind statements.
        self._control = ThreadPoolExecutor(2, "control")

    def lane(self, user: User) -> Lane:
        """Those who may write share nothing with those who may only read."""
        return self._writers if user.readonly == 0 else self._readers

    def ready_handle(
        self, request: StatementRequest, user: User, *, leaves_state: bool
    ) -> AbstractContextManager[Ready]:
        """See `handles.ready_handle`."""
        return ready_handle(
            self.engine,
            self._sessions,
            request,
            user_readonly=user.readonly,
            leaves_state=leaves_state,
            default_database=self._default_database,
            files=self.files,
        )

    def start(
        self, lane: Lane, query_id: str, work: Callable[[Ticket], T]
    ) -> tuple[Ticket, asyncio.Future[T]]:
        """Runs `work` in a thread of the lane. Raises EngineError 202 where it is full, 216 for an
        id in use.
        """
        lane.admit()
        try:
            ticket = self._running.begin(query_id)
        except BaseException:
            lane.dismiss()
            raise

        def work_in_slot() -> T:
            with lane.slot(), ticket.running():
                return work(ticket)

        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(lane.executor, work_in_slot)

        def over(_: asyncio.Future[T]) -> None:
            self._jobs.discard(job)
            lane.dismiss()
            self._running.end(ticket)

        self._jobs.add(job)
        job.add_done_callback(over)
        return ticket, job

    def cancel(self, ticket: Ticket) -> None:
        """Ends a statement soon; whoever awaits its job sees it fail."""
        self._control.submit(ticket.cancel)

    async def check_health(self) -> None:
        """Raises, within the limit, where the engine answers no query."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.limits.health_seconds_max):
            await loop.run_in_executor(self._control, self.engine.check_health)

    async def stop(self) -> bool:
        """Cancels what runs and closes the engine; False where a statement did not end in time."""
        for ticket in self._running.tickets():
            self.cancel(ticket)
        if self._jobs:
            _, unfinished = await asyncio.wait(self._jobs, timeout=self.limits.stop_seconds_max)
            if unfinished:
                return False
        self._sessions.close()
        self.engine.close()
        return True
