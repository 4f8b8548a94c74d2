"""What was done and what came of it: counted while viewers run, reported at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Final

import msgspec

SAMPLES_MAX: Final = 20_000
"""Latencies that are kept per kind of request; beyond that a random sample of all."""


class RequestFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request."""

    request: str
    count: int
    failed: int
    """Answered 5xx or 429, or not at all."""
    p50_ms: float
    p95_ms: float
    p99_ms: float


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    took_s: float
    sessions_opened: int
    sessions_denied: dict[str, int]
    """By reason."""
    licenses: int
    events_sent: int
    """Each once, however often it was sent again."""
    events_accepted: int
    events_refused: int
    events_lost: int
    """Never acknowledged, although sent again until the viewer was gone."""
    events_per_s: float
    segments: int
    segment_bytes: int
    requests: tuple[RequestFigures, ...]
    errors: dict[str, int]

    @property
    def is_good(self) -> bool:
        """Whether viewers were served and nothing was lost."""
        return self.sessions_opened > 0 and self.events_lost == 0 and self.events_refused == 0


class Tally:
    """The running counts of one simulation; one thread."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._latencies: dict[str, list[float]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.opened = 0
        self.denied: Counter[str] = Counter()
        self.licenses = 0
        self.sent = 0
        self.accepted = 0
        self.refused = 0
        self.lost = 0
        self.segments = 0
        self.segment_bytes = 0
        self.errors: Counter[str] = Counter()
        self.watching = 0

    def answered(self, request: str, status: int, latency_ms: float) -> None:
        """An answer came; `status` 0: none came."""
        self._counts[request] += 1
        if status == 0 or status >= 500 or status == 429:
            self._failed[request] += 1
        samples = self._latencies[request]
        if len(samples) < SAMPLES_MAX:
            samples.append(latency_ms)
        elif (place := self._random.randrange(self._counts[request])) < SAMPLES_MAX:
            samples[place] = latency_ms

    def report(self, took_s: float) -> SimulationReport:
        """Everything up to now."""
        return SimulationReport(
            took_s=round(took_s, 1),
            sessions_opened=self.opened,
            sessions_denied=dict(self.denied),
            licenses=self.licenses,
            events_sent=self.sent,
            events_accepted=self.accepted,
            events_refused=self.refused,
            events_lost=self.lost,
            events_per_s=round(self.accepted / took_s, 1) if took_s else 0.0,
            segments=self.segments,
            segment_bytes=self.segment_bytes,
            requests=tuple(self._figures(name) for name in sorted(self._counts)),
            errors=dict(self.errors),
        )

    def _figures(self, request: str) -> RequestFigures:
        ordered = sorted(self._latencies[request])

        def rank(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

        return RequestFigures(
            request=request,
            count=self._counts[request],
            failed=self._failed[request],
            p50_ms=rank(0.5),
            p95_ms=rank(0.95),
            p99_ms=rank(0.99),
        )
