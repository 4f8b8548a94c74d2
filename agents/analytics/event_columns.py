"""Decoded events as columns: strings as codes, numbers as arrays, what nobody says left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.analytics.body_columns import Flags, body_column, of_codes
from agents.analytics.moments import UNTOLD, Milliseconds, right_at_ms, session_facts
from agents.analytics.native import Codes, Column, Numbers, Texts, Words, coded, words_of
from agents.analytics.payloads import Hashes, PayloadHash
from agents.analytics.wire import ANY_BODY, BODY, REQUIRED
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Stamp

INSTANT: Final = "DateTime64(3, 'UTC')"
_BODY_NAMES: Final = tuple(sorted(frozenset().union(*BODY.values())))
_STAMP_WORDS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(Stamp)
    if field.name not in ("received_at_ms", "asn", "canary")
)
_NO_STAMP: Final = Stamp(received_at_ms=UNTOLD, via="ingest")
_UINT32_MAX: Final = 0xFFFF_FFFF


@dataclass(slots=True)
class Events:
    """Some events by column. `strange`: rows that only `EventReader` can judge."""

    strange: Flags
    sessions: Sequence[str]
    session_codes: Codes
    sources: Words
    sequences: npt.NDArray[np.int64]
    received_ms: Milliseconds
    hashes: Hashes
    sent: dict[str, Column] = field(default_factory=dict)
    """What becomes columns of the table."""


class EventTabulator:
    """Makes the table's columns of what Wires say."""

    def __init__(self) -> None:
        self._stamps: codec.Decoder[Stamp | None] = codec.Decoder(Stamp | None)
        self._extras: codec.Decoder[dict[str, Any] | None] = codec.Decoder(dict[str, Any] | None)

    def tabulate(self, said: Mapping[str, Sequence[Any]], timestamps_ms: Milliseconds) -> Events:
        """The columns of Wires' fields; `timestamps_ms`: when the broker took the records."""
        count = len(timestamps_ms)
        sessions, session_codes = coded(said["session_id"])
        events = Events(
            strange=np.zeros(count, np.bool_),
            sessions=sessions,
            session_codes=session_codes,
            sources=words_of(said["source"]),
            sequences=np.array(said["sequence"], np.int64),
            received_ms=timestamps_ms,
            hashes=np.zeros(count, np.uint64),
        )
        types = words_of(said["type"])
        events.sent |= {
            "type": types,
            "source": events.sources,
            "sequence": Numbers("UInt64", events.sequences),
        }
        payload = PayloadHash(events.hashes)
        payload.add("type", types)
        _add_body(events, types, said, payload)
        _add_times(events, said["at"], payload)
        self._add_extra(events, said["extra"], payload)
        self._add_stamps(events, said["stamp"])
        _add_ids(events, said["id"])
        return events

    def _add_extra(self, events: Events, raws: Sequence[msgspec.Raw], payload: PayloadHash) -> None:
        texts = [""] * len(raws)
        for position, raw in enumerate(raws):
            if not raw:
                continue
            try:
                extra = self._extras.decode(raw)
            except InvalidMessageError:
                events.strange[position] = True
            else:
                texts[position] = codec.encode(extra).decode() if extra else ""
        if any(texts):
            events.sent["extra"] = Texts(texts)
            payload.add("extra", Texts(texts))

    def _add_stamps(self, events: Events, raws: Sequence[msgspec.Raw]) -> None:
        """What the gateway adds is the same for all events of a POST."""
        lines, codes = coded([bytes(raw) for raw in raws])
        stamps = [self._stamp(line) for line in lines]
        events.strange |= np.array([stamp is None for stamp in stamps])[codes]
        known = [stamp or _NO_STAMP for stamp in stamps]
        received_ms = np.array([stamp.received_at_ms for stamp in known], np.int64)[codes]
        is_told = received_ms != UNTOLD
        events.received_ms = np.where(is_told, received_ms, events.received_ms)
        for name in _STAMP_WORDS:
            words, word_codes = coded([str(getattr(stamp, name)) for stamp in known])
            if words != [""]:
                events.sent[name] = Words(words, word_codes[codes])
        asns = np.clip([min(stamp.asn, _UINT32_MAX) for stamp in known], 0, _UINT32_MAX)
        if asns.any():
            events.sent["asn"] = Numbers("UInt32", asns.astype("<u4")[codes])
        canaries = np.array([stamp.canary for stamp in known], np.uint8)
        if canaries.any():
            events.sent["canary"] = Numbers("Bool", canaries[codes])

    def _stamp(self, line: bytes) -> Stamp | None:
        """None where it is none, and the gateway's facts cannot be told."""
        if not line:
            return _NO_STAMP
        try:
            return self._stamps.decode(line) or _NO_STAMP
        except InvalidMessageError:
            return None


def _add_body(
    events: Events, types: Words, said: Mapping[str, Sequence[Any]], payload: PayloadHash
) -> None:
    allowed = [BODY.get(kind, ANY_BODY) for kind in types.words]
    required = [REQUIRED.get(kind, frozenset()) for kind in types.words]
    events.strange |= of_codes([kind not in BODY for kind in types.words], types.codes)
    for name in _BODY_NAMES:
        values = said[name]
        if name == "is_fatal":
            values = _completed(types, values)
        column, is_said = body_column(name, values)
        needs = of_codes([name in names for names in required], types.codes)
        if column is None:
            events.strange |= needs
            continue
        may = of_codes([name in names for names in allowed], types.codes)
        events.strange |= (needs & ~is_said) | (is_said & ~may)
        events.sent[name] = column
        payload.add(name, column)


def _completed(types: Words, values: Sequence[bool | None]) -> Sequence[bool | None]:
    """Errors say whether they are fatal only where they are not."""
    is_error = of_codes([kind == "error" for kind in types.words], types.codes)
    if not is_error.any():
        return values
    pairs = zip(values, is_error.tolist(), strict=True)
    return [value is not False if error else value for value, error in pairs]


def _add_times(events: Events, at: Sequence[Any], payload: PayloadHash) -> None:
    at_ms = np.rint(np.array([moment.timestamp() for moment in at]) * 1000).astype(np.int64)
    payload.add("at", Numbers(INSTANT, at_ms))
    facts = np.zeros((len(events.sessions), 2), "<u8")
    began_ms = np.zeros(len(events.sessions), np.int64)
    for number, session in enumerate(events.sessions):
        try:
            high, low, began_ms[number] = session_facts(session)
        except InvalidMessageError:
            events.strange |= events.session_codes == number
        else:
            facts[number] = high, low
    right_ms = right_at_ms(at_ms, began_ms[events.session_codes])
    events.sent["session_id"] = Numbers("UUID", facts[events.session_codes])
    events.sent["at"] = Numbers(INSTANT, right_ms)
    if (right_ms != at_ms).any():
        events.sent["clock_error_ms"] = Numbers("Int64", at_ms - right_ms)


def _add_ids(events: Events, ids: Sequence[str]) -> None:
    """The ids that clients gave; CMCD's are derived from the identity."""
    via = events.sent["via"]
    assert isinstance(via, Words)
    is_derived = of_codes([way == "cmcd" for way in via.words], via.codes)
    if is_derived.any():
        pairs = zip(ids, is_derived.tolist(), strict=True)
        ids = ["" if derived else given for given, derived in pairs]
    if any(ids):
        events.sent["id"] = Texts(ids)
