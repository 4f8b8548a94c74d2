"""Answering POSTs of events that there is no room for, before they cost anything.

aiohttp takes 100 µs and more until a handler can refuse a request; ten times too many requests
would leave no time for those that are to be served. The door looks at the first bytes of a request,
where its connection is idle and all of its head is there, and writes the 503 itself. What is odd
in any way goes on to aiohttp, where the same rules hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from aiohttp.helpers import rfc822_formatted_time

from gateway.admission import EVENT_TRAFFIC, Room, TrafficClass, Urgency
from gateway.cors import EXPOSED_HEADERS
from gateway.intake import POST_BYTES
from gateway.problems import CONTENT_TYPE, RETRY_AFTER_S, Problem, unavailable
from gateway.routing.route import Route
from gateway.urgency import LIVE_BODY_BYTES_MAX, urgency_of
from schemas import codec

_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Whatever changes how long a request is, or what follows it."""
_TOLD: Final = frozenset({b"content-length", b"connection", b"content-encoding", b"priority"})
LENGTH_DIGITS_MAX: Final = 12


class Frame(msgspec.Struct, frozen=True):
    """A request as its head tells of it."""

    head_bytes: int
    """With the empty line."""
    length_bytes: int
    """Of the body."""
    is_encoded: bool
    priority: str

    @property
    def total_bytes(self) -> int:
        """Of all of it."""
        return self.head_bytes + self.length_bytes


def frame_of(data: bytes) -> Frame | None:
    """The request that begins with `data`; None where its head is not whole, or odd in any way."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n")
    if not lines[0].endswith(b" HTTP/1.1") or data.count(b"\n", 0, end) != len(lines) - 1:
        return None
    told = _told(lines[1:])
    if told is None:
        return None
    length = told.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX:
        return None
    priority = told.get(b"priority", b"").decode("latin-1")
    return Frame(end + 4, int(length), b"content-encoding" in told, priority)


def _told(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """The headers that matter here; None where any of them is odd."""
    told: dict[bytes, bytes] = {}
    for line in lines:
        written, colon, value = line.partition(b":")
        name = written.strip().lower()
        if name in _ODD or not colon or len(name) != len(written):
            return None
        if name in _TOLD:
            if name in told:
                return None
            told[name] = value.strip()
    keeps = told.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    return told if keeps else None


class Door:
    """One per gateway; decides by what is held now."""

    def __init__(
        self,
        work: Room,
        routes: Sequence[Route],
        *,
        body_bytes_max: int,
        is_log_away: Callable[[], bool],
        on_refused: Callable[[Urgency, bool], None],
    ) -> None:
        """`on_refused` is told the class, and whether it was answered as if it were taken."""
        self._work = work
        self._body_bytes_max = body_bytes_max
        self._is_log_away = is_log_away
        self._on_refused = on_refused
        self._paths = [_Path(route) for route in routes if route.turned_away is not None]
        self.arriving_bytes = 0
        """Of requests on their way through aiohttp to their handlers."""

    def refusal(self, frame: Frame, data: bytes) -> bytes | None:
        """The whole answer to a request that there is no room for; None: let it in."""
        is_log_away = self._is_log_away()
        if not is_log_away and self._has_room("bulk", frame.length_bytes):
            return None
        if frame.length_bytes > self._body_bytes_max:
            return None  # it is too large, and will be told so
        parts = _path_of(data)
        path = next((each for each in self._paths if each.is_met_by(parts)), None)
        if path is None:
            return None
        urgency = _urgency(frame, data, path.traffic)
        if not is_log_away and self._has_room(urgency, frame.length_bytes):
            return None
        self._on_refused(urgency, path.is_silent)
        return _silence() if path.is_silent else _problem(is_log_away=is_log_away)

    def _has_room(self, urgency: Urgency, length_bytes: int) -> bool:
        return self._work.has_room(urgency, self.arriving_bytes + length_bytes + POST_BYTES)


def _urgency(frame: Frame, data: bytes, traffic: TrafficClass) -> Urgency:
    if frame.length_bytes > LIVE_BODY_BYTES_MAX:
        return "bulk"
    start = None if frame.is_encoded else data[frame.head_bytes :]
    return urgency_of(traffic, frame.length_bytes, frame.priority, start)


def _path_of(data: bytes) -> list[bytes]:
    """The parts of a POST's path; none where the router would have to unquote any."""
    if not data.startswith(b"POST /"):
        return []
    path = data[: data.find(b" ", 5)].partition(b"?")[0]
    return [] if b"%" in path else path.split(b"/")[1:]


class _Path:
    """A route's path, part by part."""

    def __init__(self, route: Route) -> None:
        assert route.method == "POST"
        assert route.traffic in EVENT_TRAFFIC
        self.traffic: TrafficClass = route.traffic
        self.is_silent = route.turned_away == "silently"
        parts = route.path.split("/")[1:]
        self._count = len(parts)
        self._literals = [(i, part.encode()) for i, part in enumerate(parts) if "{" not in part]

    def is_met_by(self, parts: list[bytes]) -> bool:
        """Whether the router would choose this route; an empty part stands for nothing."""
        return (
            len(parts) == self._count
            and all(parts[index] == literal for index, literal in self._literals)
            and all(parts)
        )


def _problem(*, is_log_away: bool) -> bytes:
    body = _AWAY if is_log_away else _FULL
    retry_after_s = round(RETRY_AFTER_S * (1 + 2 * random.random()))  # noqa: S311 - spread, no secret
    return b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nDate: %b\r\n%b%b" % (
        retry_after_s,
        rfc822_formatted_time().encode(),
        _HEADERS % len(body),
        body,
    )


def _silence() -> bytes:
    return b"HTTP/1.1 204 No Content\r\nDate: %b\r\n%b\r\n" % (
        rfc822_formatted_time().encode(),
        _OPEN,
    )


def _body(reason: str, detail: str) -> bytes:
    problem: Problem = unavailable("not_stored", reason, detail).problem
    return codec.encode(problem)


_FULL: Final = _body("overloaded", "too many bytes are in flight")
_AWAY: Final = _body("unavailable", "the log is away")
_OPEN: Final = (
    "Access-Control-Allow-Origin: *\r\n"
    f"Access-Control-Expose-Headers: {EXPOSED_HEADERS}\r\n"
    "Timing-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\nServer: playhead\r\n"
).encode()
_HEADERS: Final = (
    f"Content-Type: {CONTENT_TYPE}\r\nCache-Control: no-store\r\n".encode()
    + _OPEN
    + b"Content-Length: %d\r\n\r\n"
)
