"""Answering POSTs that there is no room for, of events and of licenses, before they cost anything.

aiohttp takes 100 µs and more until a handler can refuse a request; ten times too many requests
would leave no time for those that are to be served. The door looks at the first bytes of a request,
where its connection is idle and all of its head is there, and writes the 503 itself. What is odd
in any way goes on to aiohttp, where the same rules hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.admission import EVENT_TRAFFIC, URGENCIES, Room, TrafficClass, Urgency
from gateway.cors import EXPOSED_HEADERS
from gateway.frames import Frame, frame_of
from gateway.intake import POST_BYTES
from gateway.pacing import TOO_MANY
from gateway.problems import CONTENT_TYPE, Problem, unavailable
from gateway.routing.route import Route
from gateway.turns import Turns
from gateway.urgency import LIVE_BODY_BYTES_MAX, urgency_of
from gateway.whole_answers import whole_answer
from schemas import codec

RETRY_AFTER_S: Final = (1, 2, 3)
"""In turn, so that clients do not return in one wave."""


class Seen(msgspec.Struct, frozen=True):
    """What the door saw of a request; holds for the next one that has the same head."""

    frame: Frame
    path: Path | None
    """None: it is never turned away."""


class Door:
    """One per gateway; decides by what is held now."""

    def __init__(
        self,
        work: Room,
        turns: Turns,
        routes: Sequence[Route],
        *,
        body_bytes_max: int,
        is_log_away: Callable[[], bool],
        lets_license_in: Callable[[], bool],
        on_silence: Callable[[], None],
    ) -> None:
        """`on_silence` is told where a POST was answered as if it were taken."""
        self._work = work
        self._turns = turns
        self._body_bytes_max = body_bytes_max
        self._is_log_away = is_log_away
        self._lets_license_in = lets_license_in
        self._on_silence = on_silence
        self._paths = [Path(route) for route in routes if route.turned_away is not None]
        self._answers = Answers(time.monotonic)
        self.arriving_bytes = 0
        """Of requests on their way through aiohttp to their handlers."""
        self.refused_counts: dict[Urgency, int] = dict.fromkeys(URGENCIES, 0)

    def see(self, data: bytes) -> Seen | None:
        """The request that begins with `data`; None where it is odd in any way."""
        frame = frame_of(data)
        if frame is None:
            return None
        parts = _path_of(frame.head)
        return Seen(frame, next((path for path in self._paths if path.is_met_by(parts)), None))

    def refusal(self, seen: Seen, data: bytes) -> bytes | None:
        """The whole answer to a request that there is no room for; None: let it in."""
        path, length_bytes = seen.path, seen.frame.length_bytes
        if path is not None and path.traffic == "license":
            return self._license_refusal()
        is_log_away = self._is_log_away()
        if path is None or (not is_log_away and self._has_room("bulk", length_bytes)):
            return None
        if length_bytes > self._body_bytes_max:
            return None  # it is too large, and will be told so
        urgency = _urgency(seen.frame, data, path.traffic)
        if not is_log_away and self._has_room(urgency, length_bytes):
            return None
        self.refused_counts[urgency] += 1
        if path.is_silent:
            self._on_silence()
            return self._answers.silence()
        return self._answers.away() if is_log_away else self._answers.full()

    def _license_refusal(self) -> bytes | None:
        if self._lets_license_in():
            return None
        self.refused_counts["essential"] += 1
        return self._answers.paced()

    def _has_room(self, urgency: Urgency, length_bytes: int) -> bool:
        work_bytes = self.arriving_bytes + length_bytes + POST_BYTES
        return self._work.has_room(urgency, work_bytes) and not self._turns.is_late(urgency)


def _urgency(frame: Frame, data: bytes, traffic: TrafficClass) -> Urgency:
    if frame.length_bytes > LIVE_BODY_BYTES_MAX:
        return "bulk"
    start = None if frame.is_encoded else data[len(frame.head) :]
    return urgency_of(traffic, frame.length_bytes, frame.priority, start)


def _path_of(data: bytes) -> list[bytes]:
    """The parts of a POST's path; none where the router would have to unquote any."""
    if not data.startswith(b"POST /"):
        return []
    path = data[: data.find(b" ", 5)].partition(b"?")[0]
    return [] if b"%" in path else path.split(b"/")[1:]


class Path:
    """A route's path, part by part."""

    def __init__(self, route: Route) -> None:
        assert route.method == "POST"
        assert route.traffic in EVENT_TRAFFIC or route.traffic == "license"
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


class Answers:
    """Whole answers, rendered once a second: the door must write thousands."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until_s = 0.0
        self._number = 0

    def full(self) -> bytes:
        """503: later there may be room."""
        return self._next()[0]

    def away(self) -> bytes:
        """503: the log is away."""
        return self._next()[1]

    def silence(self) -> bytes:
        """204."""
        return self._next()[2]

    def paced(self) -> bytes:
        """503: the license agent has enough to do."""
        return self._next()[3]

    def _next(self) -> tuple[bytes, bytes, bytes, bytes]:
        now_s = self._monotonic()
        if now_s >= self._until_s:
            self._until_s = now_s + 1
            self._rendered = [_render(seconds) for seconds in RETRY_AFTER_S]
        self._number = (self._number + 1) % len(self._rendered)
        return self._rendered[self._number]


def _render(retry_after_s: int) -> tuple[bytes, bytes, bytes, bytes]:
    headers = (("Retry-After", str(retry_after_s)), *_PROBLEM_HEADERS)
    full, away, paced = (whole_answer(503, headers, body) for body in (_FULL, _AWAY, _PACED))
    return full, away, whole_answer(204, _OPEN_HEADERS), paced


def _body(reason: str, detail: str) -> bytes:
    problem: Problem = unavailable("not_stored", reason, detail).problem
    return codec.encode(problem)


_FULL: Final = _body("overloaded", "too many bytes are in flight")
_AWAY: Final = _body("unavailable", "the log is away")
_PACED: Final = _body("overloaded", TOO_MANY)
_OPEN_HEADERS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", EXPOSED_HEADERS),
    ("Timing-Allow-Origin", "*"),
)
_PROBLEM_HEADERS: Final = (
    ("Content-Type", CONTENT_TYPE),
    ("Cache-Control", "no-store"),
    *_OPEN_HEADERS,
)
