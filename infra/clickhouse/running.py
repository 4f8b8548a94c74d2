"""The statements that run now: each can be ended, and a query id is used by one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from infra.clickhouse.engine import Engine
from infra.clickhouse.errors import EngineError


class Ticket:
    """The right to run one statement, which whoever holds the ticket can end from any thread."""

    def __init__(self, engine: Engine, query_id: str) -> None:
        self.query_id = query_id
        self._engine = engine
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._is_cancelled = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around the statement, in its worker thread. Raises EngineError 394 if it was cancelled
        before it began.
        """
        with self._lock:
            self.check()
            self._thread_id = threading.get_native_id()
        try:
            yield
        finally:
            # The lock makes sure that a KILL under way has met this statement, and never the
            # thread's next one.
            with self._lock:
                self._thread_id = None

    def check(self) -> None:
        """Raises EngineError 394 once the statement is cancelled."""
        if self._is_cancelled:
            raise EngineError(394, "Query was cancelled", "QUERY_WAS_CANCELLED")

    def cancel(self) -> None:
        """Ends the statement, or keeps it from beginning. Takes about 20 ms."""
        with self._lock:
            self._is_cancelled = True
            if self._thread_id is not None:
                self._engine.end_statement_of(self._thread_id)


class Running:
    """All tickets of the process; used on the event loop alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tickets: dict[str, Ticket] = {}

    def begin(self, query_id: str) -> Ticket:
        """A new ticket. Raises EngineError 216 while another statement has this id."""
        if query_id in self._tickets:
            raise EngineError(
                216,
                f"Query with id = {query_id} is already running",
                "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
            )
        ticket = self._tickets[query_id] = Ticket(self._engine, query_id)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """The statement of this ticket is over."""
        del self._tickets[ticket.query_id]

    def tickets(self) -> list[Ticket]:
        """Those of all statements that wait or run."""
        return list(self._tickets.values())
