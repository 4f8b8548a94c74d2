"""Events as columns: strings as codes, numbers as arrays, what nobody says left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from agents.analytics.arms import arms_word
from agents.analytics.body_columns import Gathered, gathered
from agents.analytics.identities import Identities
from agents.analytics.moments import (
    UNTOLD,
    Milliseconds,
    instants_ms,
    right_at_ms,
    session_facts,
    storable_ms,
)
from agents.analytics.native import Codes, Column, Numbers, Positions, Texts, Words, words_of
from agents.analytics.payloads import Hashes, PayloadHash
from agents.analytics.wire import HEAD, WIRES, UnknownWire
from schemas import codec
from schemas.events import Stamp
from streams.reader import LogRecord

INSTANT: Final = "DateTime64(3, 'UTC')"
_STAMP_WORDS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(Stamp)
    if field.name not in ("received_at_ms", "asn", "canary", "arms")
)
_NO_STAMP: Final = Stamp(received_at_ms=UNTOLD, via="ingest")
_UINT32_MAX: Final = 0xFFFF_FFFF
_stamps: codec.Decoder[Stamp | None] = codec.Decoder(Stamp | None)


_BODY: Final[Mapping[Any, tuple[tuple[str, Callable[[Any], Any]], ...]]] = {
    kind: tuple(
        (name, attrgetter(name)) for name in kind.__struct_fields__ if name not in (*HEAD, "type")
    )
    for kind in (*WIRES.values(), UnknownWire)
}
"""By type: the fields that become the columns of their names, and how to take them."""


class _Head(NamedTuple):
    """What every event has, by row; sessions, sources and stamps as codes."""

    offsets: npt.NDArray[np.int64]
    timestamps_ms: Milliseconds
    at_ms: Milliseconds
    sequences: npt.NDArray[np.int64]
    sessions: npt.NDArray[np.uint32]
    sources: npt.NDArray[np.uint32]
    stamps: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Events:
    """Some records of the log as columns."""

    offsets: npt.NDArray[np.int64]
    received_ms: Milliseconds
    hashes: Hashes
    identities: Identities
    sent: dict[str, Column]
    """What becomes columns of the table."""


class EventColumns:
    """Gathers wires, block by block: each is taken apart while the processor's cache holds it."""

    def __init__(self) -> None:
        self.count = 0
        self._sessions: Codes[str, tuple[int, int, int]] = Codes(session_facts)
        self._sources: Codes[str, str] = Codes(str)
        self._stamps = Codes(_read_stamp)
        self._heads: list[_Head] = []
        self._said: dict[str, Gathered] = {}

    def add(self, records: Sequence[LogRecord], wires: Sequence[Any]) -> None:
        """Take the next rows; `wires`: what the records say.

        Raises InvalidMessageError, and takes none, where only `EventReader` can judge one.
        """
        head = _Head(
            offsets=np.array([record.offset for record in records], np.int64),
            timestamps_ms=np.array([record.timestamp for record in records], np.int64),
            at_ms=instants_ms([wire.at for wire in wires]),
            sequences=np.array([wire.sequence for wire in wires], np.int64),
            sessions=self._sessions.of([wire.session_id for wire in wires]),
            sources=self._sources.of([wire.source for wire in wires]),
            stamps=self._stamps.of([bytes(wire.stamp) for wire in wires]),
        )
        places = np.arange(self.count, self.count + len(wires))
        self.count += len(wires)
        self._heads.append(head)
        self._put("id", places, [wire.id for wire in wires])
        if any(extras := [wire.extra for wire in wires]):
            texts = [codec.encode(extra).decode() if extra else "" for extra in extras]
            self._put("extra", places, texts)
        for kind, its_places, told in _by_kind(wires, places):
            tag = kind.__struct_config__.tag
            self._put("type", its_places, [tag] if tag else [wire.type for wire in told])
            for name, cell_of in _BODY[kind]:
                self._put(name, its_places, list(map(cell_of, told)))

    def _put(self, name: str, places: Positions, cells: Sequence[Any]) -> None:
        column = self._said.get(name)
        if column is None:
            column = self._said[name] = gathered(name)
        column.put(places, cells)

    def events(self) -> Events:
        """All that was gathered; not nothing."""
        head = _Head(*map(np.concatenate, zip(*self._heads, strict=True)))
        columns = {name: said.column(self.count) for name, said in sorted(self._said.items())}
        sent = {name: column for name, column in columns.items() if column is not None}
        ids = sent.pop("id", None)
        payload = PayloadHash(self.count)
        for name, column in sent.items():
            payload.add(name, column)
        payload.add("at", Numbers(INSTANT, head.at_ms))
        stamps = self._stamps.known
        received_ms = np.array([stamp.received_at_ms for stamp in stamps], np.int64)[head.stamps]
        received_ms = np.where(received_ms == UNTOLD, head.timestamps_ms, received_ms)
        sent |= {
            **_identity_columns(head, self._sessions.known),
            **_stamp_columns(head.stamps, stamps),
            **_without_derived(ids, head.stamps, stamps),
            "source": Words(self._sources.known, head.sources),
            "sequence": Numbers("UInt64", head.sequences),
            "received_at": Numbers(INSTANT, storable_ms(received_ms)),
            "payload_hash": Numbers("UInt64", payload.values),
            "kafka_offset": Numbers("UInt64", head.offsets),
            "kafka_time": Numbers(INSTANT, storable_ms(head.timestamps_ms)),
        }
        identities = Identities(
            session_names=list(self._sessions),
            sessions=head.sessions,
            source_names=self._sources.known,
            sources=head.sources,
            sequences=head.sequences,
        )
        return Events(head.offsets, received_ms, payload.values, identities, sent)


def _by_kind(
    wires: Sequence[Any], places: Positions
) -> Iterator[tuple[Any, Positions, Sequence[Any]]]:
    """The wires of each type, and their places."""
    kinds = list(map(type, wires))
    distinct = dict.fromkeys(kinds)
    if len(distinct) == 1:
        yield kinds[0], places, wires
        return
    for kind in distinct:
        rows = np.flatnonzero([each is kind for each in kinds])
        yield kind, places[rows], [wires[row] for row in rows.tolist()]


def _read_stamp(line: bytes) -> Stamp:
    return (_stamps.decode(line) if line else None) or _NO_STAMP


def _identity_columns(head: _Head, sessions: Sequence[tuple[int, int, int]]) -> dict[str, Column]:
    """The session, and when the event was: by the client's clock, where that can be."""
    halves = np.array([(high, low) for high, low, _ in sessions], "<u8")
    began_ms = np.array([began_ms for _, _, began_ms in sessions], np.int64)
    right_ms = right_at_ms(head.at_ms, began_ms[head.sessions])
    columns: dict[str, Column] = {
        "session_id": Numbers("UUID", halves[head.sessions]),
        "at": Numbers(INSTANT, right_ms),
    }
    if (right_ms != head.at_ms).any():
        columns["clock_error_ms"] = Numbers("Int64", head.at_ms - right_ms)
    return columns


def _stamp_columns(codes: npt.NDArray[np.uint32], stamps: Sequence[Stamp]) -> dict[str, Column]:
    """What the gateway adds, which is the same for all events of a POST."""
    columns: dict[str, Column] = {}
    for name in _STAMP_WORDS:
        words = words_of([str(getattr(stamp, name)) for stamp in stamps])
        if any(words.words):
            columns[name] = Words(words.words, words.codes[codes])
    asns = np.clip([min(stamp.asn, _UINT32_MAX) for stamp in stamps], 0, _UINT32_MAX)
    if asns.any():
        columns["asn"] = Numbers("UInt32", asns.astype("<u4")[codes])
    canaries = np.array([stamp.canary for stamp in stamps], np.uint8)
    if canaries.any():
        columns["canary"] = Numbers("Bool", canaries[codes])
    if any(stamp.arms for stamp in stamps):
        words = words_of([arms_word(stamp.arms) for stamp in stamps])
        columns["arms"] = Words(words.words, words.codes[codes])
    return columns


def _without_derived(
    ids: Column | None, codes: npt.NDArray[np.uint32], stamps: Sequence[Stamp]
) -> dict[str, Column]:
    """The ids that clients gave; CMCD's are derived from the identity."""
    if not isinstance(ids, Texts):
        return {}
    is_derived = np.array([stamp.via == "cmcd" for stamp in stamps])[codes].tolist()
    texts = ["" if derived else given for given, derived in zip(ids.texts, is_derived, strict=True)]
    return {"id": Texts(texts)} if any(texts) else {}
