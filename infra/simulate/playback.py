"""What one viewer and their player do: a script of events with the time between them.

Pure: the same title, habits and Random give the same script. The player is simple on purpose (it
takes the best rendition that its throughput carries); what is real is the shape of its traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec

from infra.simulate.network import Link

SEGMENT_MS: Final = 2_000
BUFFER_MS_MAX: Final = 24_000
BUFFER_MS_START: Final = 4_000
HEARTBEAT_MS: Final = 10_000
SAFETY: Final = 0.8
"""Of the measured throughput is spent."""
MEAN_WATCH_MS: Final = 240_000

Fields = dict[str, Any]
"""An event without id, sequence, source, session and time."""


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """A rendition as the viewer's manifest has it; `media` is the URL of a segment by $Number$."""

    bitrate_kbps: int
    height: int
    media: str = ""
    first_number: int = 1


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """Chances per segment watched, and of a whole session."""

    pause: float = 0.012
    seek: float = 0.015
    interaction: float = 0.02
    fatal_error: float = 0.004
    """Of sessions."""


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """After so long, these events; `segment` is what is fetched then, if anything."""

    after_ms: int
    events: tuple[Fields, ...]
    segment: tuple[Rung, int] | None = None


class Playback:
    """One viewing of one title."""

    def __init__(
        self, duration_ms: int, ladder: tuple[Rung, ...], random: Random, habits: Habits
    ) -> None:
        assert ladder
        assert duration_ms > 0
        self._duration_ms = duration_ms
        self._ladder = sorted(ladder, key=lambda rung: rung.bitrate_kbps)
        self._random = random
        self._habits = habits
        self._link = Link(random)
        self._rung = self._ladder[0]
        self._playhead_ms = 0
        self._fetched_ms = 0
        self._buffer_ms = 0
        self._since_heartbeat_ms = 0
        self._speed_kbps = 0.0
        self._fails = random.random() < habits.fatal_error

    def beats(self) -> Iterator[Beat]:
        """From `play` to `stopped`, or to a fatal error."""
        yield Beat(after_ms=0, events=(self._event("play"),))
        yield from self._fill(BUFFER_MS_START)
        yield Beat(
            after_ms=0, events=(self._event("playing", bitrate_kbps=self._rung.bitrate_kbps),)
        )
        leaves_at_ms = self._random.expovariate(1 / MEAN_WATCH_MS)
        watched_ms = 0
        while self._playhead_ms < self._duration_ms and watched_ms < leaves_at_ms:
            yield from self._play_segment()
            watched_ms += SEGMENT_MS
            yield from self._whims()
        yield Beat(after_ms=0, events=(self._last_event(),))

    def _last_event(self) -> Fields:
        if self._fails:
            return self._event("error", code="MEDIA_DECODE", message="simulated", is_fatal=True)
        is_over = self._playhead_ms >= self._duration_ms
        return self._event("stopped", reason="ended" if is_over else "aborted")

    def _play_segment(self) -> Iterator[Beat]:
        """Two seconds of picture: fetch what fits beside them, stall where nothing is left."""
        if self._buffer_ms < SEGMENT_MS and self._fetched_ms < self._duration_ms:
            yield Beat(after_ms=self._buffer_ms, events=(self._event("buffering"),))
            self._playhead_ms += self._buffer_ms
            self._buffer_ms = 0
            yield from self._fill(BUFFER_MS_START)
            yield Beat(after_ms=0, events=(self._event("buffered"), self._event("playing")))
        spent_ms = 0
        if self._buffer_ms < BUFFER_MS_MAX and self._fetched_ms < self._duration_ms:
            beat = self._fetch()
            spent_ms = min(beat.after_ms, SEGMENT_MS)
            yield msgspec.structs.replace(beat, after_ms=spent_ms)
        played_ms = min(SEGMENT_MS, self._buffer_ms, self._duration_ms - self._playhead_ms)
        self._playhead_ms += played_ms
        self._buffer_ms -= played_ms
        self._since_heartbeat_ms += SEGMENT_MS
        events: tuple[Fields, ...] = ()
        if self._since_heartbeat_ms >= HEARTBEAT_MS:
            self._since_heartbeat_ms = 0
            events = (self._heartbeat(),)
        yield Beat(after_ms=max(0, played_ms - spent_ms), events=events)

    def _fill(self, until_ms: int) -> Iterator[Beat]:
        """Fetch until so much is buffered, or all there is."""
        while self._buffer_ms < until_ms and self._fetched_ms < self._duration_ms:
            yield self._fetch()

    def _fetch(self) -> Beat:
        number = self._rung.first_number + self._fetched_ms // SEGMENT_MS
        size = round(self._rung.bitrate_kbps * SEGMENT_MS / 8 * self._random.uniform(0.6, 1.1))
        fetch = self._link.fetch(size)
        part = min(SEGMENT_MS, self._duration_ms - self._fetched_ms)
        self._fetched_ms += part
        self._buffer_ms += part
        measured = self._event(
            "bandwidth",
            measured_throughput_kbps=fetch.throughput_kbps,
            latency_ms=fetch.latency_ms,
            transfer_ms=fetch.transfer_ms,
            buffer_length_ms=self._buffer_ms,
            bitrate_kbps=self._rung.bitrate_kbps,
            top_bitrate_kbps=self._ladder[-1].bitrate_kbps,
            object_type="v",
            object_bytes=size,
            object_duration_ms=part,
            status=200,
        )
        segment = (self._rung, number)
        return Beat(
            after_ms=fetch.transfer_ms,
            events=(measured, *self._switch(fetch.throughput_kbps)),
            segment=segment,
        )

    def _switch(self, throughput_kbps: int) -> tuple[Fields, ...]:
        """Another rendition where the smoothed throughput carries one."""
        last = self._speed_kbps or throughput_kbps
        self._speed_kbps = 0.7 * last + 0.3 * throughput_kbps
        carried = [r for r in self._ladder if r.bitrate_kbps <= SAFETY * self._speed_kbps]
        chosen = carried[-1] if carried else self._ladder[0]
        if chosen == self._rung:
            return ()
        before, self._rung = self._rung, chosen
        return (
            self._event(
                "bitrate_changed",
                bitrate_kbps=chosen.bitrate_kbps,
                from_bitrate_kbps=before.bitrate_kbps,
                height=chosen.height,
            ),
        )

    def _whims(self) -> Iterator[Beat]:
        """What the viewer does beside watching."""
        if self._random.random() < self._habits.pause:
            yield Beat(after_ms=0, events=(self._event("pause"),))
            away_ms = round(self._random.uniform(1_000, 20_000))
            yield Beat(after_ms=away_ms, events=(self._event("play"), self._event("playing")))
        if self._random.random() < self._habits.seek:
            yield from self._seek()
        if self._random.random() < self._habits.interaction:
            name = self._random.choice(("volume", "fullscreen", "subtitles", "audio"))
            yield Beat(after_ms=0, events=(self._event("interaction", name=name),))

    def _seek(self) -> Iterator[Beat]:
        from_ms = self._playhead_ms
        to_ms = self._random.randrange(0, self._duration_ms, 100)
        jump = self._event("seek", from_ms=from_ms, to_ms=to_ms)
        self._playhead_ms = to_ms
        self._fetched_ms = to_ms // SEGMENT_MS * SEGMENT_MS
        self._buffer_ms = 0
        yield Beat(after_ms=0, events=(jump, self._event("buffering")))
        yield from self._fill(BUFFER_MS_START)
        # What was fetched begins at the segment's start, before the place that was sought.
        self._buffer_ms = max(0, self._fetched_ms - to_ms)
        done = (self._event("seeked"), self._event("buffered"), self._event("playing"))
        yield Beat(after_ms=0, events=done)

    def _heartbeat(self) -> Fields:
        return self._event(
            "heartbeat", bitrate_kbps=self._rung.bitrate_kbps, buffer_length_ms=self._buffer_ms
        )

    def _event(self, kind: str, **fields: Any) -> Fields:
        return {"type": kind, "playhead_ms": self._playhead_ms, **fields}
