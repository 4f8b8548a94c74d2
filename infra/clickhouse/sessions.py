"""ClickHouse's HTTP sessions: SET, USE and temporary tables that last from request to request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from infra.clickhouse.engine import Engine, Handle
from infra.clickhouse.errors import EngineError
from infra.clickhouse.request import SessionReference


class Session:
    """Has no handle until a statement leaves state behind: most clients open a session and never
    use it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.handle: Handle | None = None
        self.database = ""
        self.seconds = 60.0
        self.used_at_seconds = 0.0

    def close(self) -> None:
        """Forgets what the session holds."""
        if self.handle is not None:
            self.handle.close()
            self.handle = None


class Sessions:
    """The sessions of all users. Used from worker threads; `now_seconds` is monotonic."""

    def __init__(self, engine: Engine, now_seconds: Callable[[], float], count_max: int) -> None:
        self._engine = engine
        self._now_seconds = now_seconds
        self._count_max = count_max
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Session] = {}

    @contextmanager
    def locked(self, user: str, reference: SessionReference) -> Iterator[Session]:
        """The session, for one request at a time: EngineError 373 where another uses it, 372 where
        it must exist.
        """
        session = self._take(user, reference)
        try:
            yield session
        finally:
            session.used_at_seconds = self._now_seconds()
            session.lock.release()

    def _take(self, user: str, reference: SessionReference) -> Session:
        name = reference.session_id
        with self._lock:
            self._drop_expired()
            session = self._sessions.get((user, name))
            if session is None:
                session = self._new(user, reference)
            if not session.lock.acquire(blocking=False):
                raise EngineError(
                    373, f"Session {name} is locked by a concurrent client", "SESSION_IS_LOCKED"
                )
            session.seconds = reference.seconds
            return session

    def _new(self, user: str, reference: SessionReference) -> Session:
        if reference.must_exist:
            raise EngineError(372, f"Session {reference.session_id} not found", "SESSION_NOT_FOUND")
        if len(self._sessions) >= self._count_max:
            self._drop_oldest()
        session = self._sessions[user, reference.session_id] = Session()
        return session

    def _drop_expired(self) -> None:
        now = self._now_seconds()
        for key, session in list(self._sessions.items()):
            if not session.lock.locked() and now - session.used_at_seconds > session.seconds:
                self._sessions.pop(key).close()

    def _drop_oldest(self) -> None:
        """Makes room; sessions in use stay."""
        idle = [
            (s.used_at_seconds, key) for key, s in self._sessions.items() if not s.lock.locked()
        ]
        if not idle:
            raise EngineError(202, "Too many sessions", "TOO_MANY_SIMULTANEOUS_QUERIES")
        self._sessions.pop(min(idle)[1]).close()

    def close(self) -> None:
        """Ends all sessions; none may be in use."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
