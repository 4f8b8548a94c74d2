"""A lenient, fast reader of CMCD v1 and v2 in query, header and event mode.

Real players break the standard in small ways (bare items for lists, decimals for integers, epoch
numbers for durations), so a bad value costs its own key only and a line is never refused.
The pattern is possessive throughout: hostile input costs linear time.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from gateway.cmcd.report import CmcdReport
from gateway.cmcd.values import (
    Reader,
    read_boolean,
    read_decimal,
    read_integer,
    read_text,
    read_texts,
    read_token,
    read_typed,
    token_reader,
)

VERSION_MAX = 2
LINE_CHARS_MAX = 8192
LINES_MAX = 500
# dash.js sends the time since its own set-up here, 1 to 5 ms, which is no start delay.
MEDIA_START_DELAY_MS_MIN = 6
# Longer than any request that a player waits for; dash.js sends epoch times as ttfb.
TTFB_MS_MAX = 600_000

HEADERS = ("CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status")

REMEMBERED_PARTS_MAX = 16_384
REMEMBERED_CHARS_MAX = 64

_Members = tuple[tuple[str, Any], ...]

_MEMBER = re.compile(
    r"([a-z*][a-z0-9_.*-]*+)"
    r'(?:=("(?:[^"\\]++|\\.)*+"|\((?:[^"()]++|"(?:[^"\\]++|\\.)*+")*+\)|[^,; \t"(]*+)[^,]*+)?'
)

_CLOSED_LIST = re.compile(r'[^"(]*+\((?:[^"()]++|"[^"]*+")*+\)[^"(]*+')

_READERS: dict[str, tuple[str, Reader]] = {
    "bg": ("is_background", read_boolean),
    "bs": ("is_starved", read_boolean),
    "cdn": ("cdn", read_text),
    "cen": ("custom_event", read_text),
    "cid": ("content_id", read_text),
    "d": ("object_duration_ms", read_integer),
    "dfa": ("dropped_frame_count", read_integer),
    "e": ("event", read_token),
    "ec": ("error_codes", read_texts),
    "ltc": ("live_latency_ms", read_integer),
    "msd": ("media_start_delay_ms", read_integer),
    "ot": ("object_type", token_reader("m", "v", "a", "av", "i", "c", "tt", "k", "o")),
    "pr": ("playback_rate", read_decimal),
    "pt": ("playhead_ms", read_integer),
    "rc": ("status", read_integer),
    "rtp": ("requested_throughput_kbps", read_integer),
    "sf": ("streaming_format", token_reader("d", "h", "e", "s", "o")),
    "sid": ("session_id", read_text),
    "sn": ("sequence_number", read_integer),
    "st": ("stream_type", token_reader("v", "l", "ll")),
    "sta": ("state", token_reader("s", "p", "k", "r", "a", "w", "e", "f", "q", "d")),
    "su": ("is_startup", read_boolean),
    "tb": ("top_bitrate_kbps", read_integer),
    "ts": ("at_ms", read_integer),
    "ttfb": ("ttfb_ms", read_integer),
    "ttlb": ("ttlb_ms", read_integer),
    "url": ("url", read_text),
    "v": ("version", read_integer),
}

_TYPED: dict[str, tuple[str, str]] = {
    "bl": ("buffer_length_ms", "audio_buffer_length_ms"),
    "br": ("bitrate_kbps", "audio_bitrate_kbps"),
    "mtp": ("measured_throughput_kbps", "audio_measured_throughput_kbps"),
}
_OF_THE_OBJECT = frozenset({"bl", "br"})


def parse_line(line: str) -> CmcdReport | None:
    """Reads one CMCD set; None where it says nothing we know or is of a version newer than ours."""
    fields = _read_fields(line)
    return _build(fields) if fields else None


def parse_event_body(body: bytes) -> Iterator[CmcdReport]:
    """Reads the lines of an event-mode POST, with or without a trailing line feed.

    Gives at most LINES_MAX reports; bytes that are no UTF-8 spoil only the value they stand in.
    """
    for line in body.decode("utf-8", "replace").split("\n", LINES_MAX)[:LINES_MAX]:
        report = parse_line(line)
        if report is not None:
            yield report


def parse_request(query: str | None, headers: Mapping[str, str]) -> CmcdReport | None:
    """Reads request mode: the (URL-decoded) ``CMCD`` query argument and the four CMCD headers.

    `headers` must look names up without regard to case. A key in a header wins over the query.
    """
    fields = _read_fields(query) if query else {}
    for name in HEADERS:
        value = headers.get(name)
        if value:
            fields |= _read_fields(value)
    return _build(fields) if fields else None


def _read_fields(text: str) -> dict[str, Any]:
    """The report's fields, and by their CMCD keys, still raw, the values by media type."""
    text = text[:LINE_CHARS_MAX]
    fields: dict[str, Any] = {}
    if "\\" in text:  # it may hide the end of a string
        return dict(_read_members(text))
    for part in text.split(","):
        members = (_remembered if len(part) <= REMEMBERED_CHARS_MAX else _read_part)(part)
        if members is None:
            return dict(_read_members(text))
        fields.update(members)
    return fields


def _read_members(text: str) -> _Members:
    """Every known member with a value of its type."""
    members: list[tuple[str, Any]] = []
    for key, raw in _MEMBER.findall(text):
        known = _READERS.get(key)
        if known is not None:
            value = known[1](raw)
            if value is not None:
                members.append((known[0], value))
        elif key in _TYPED:
            members.append((key, raw))
    return tuple(members)


def _read_part(part: str) -> _Members | None:
    """What stands between two commas; None where one of them may be inside a string or a list."""
    if '"' in part:
        if part.count('"') % 2 or ("(" in part and not _CLOSED_LIST.fullmatch(part)):
            return None
    elif part.count("(") != part.count(")"):
        return None
    return _read_members(part)


_remembered = lru_cache(maxsize=REMEMBERED_PARTS_MAX)(_read_part)
"""Most of a line (ids, content, formats, states, rates) was said in the line before."""


def _build(fields: dict[str, Any]) -> CmcdReport | None:
    if fields.get("version", 1) > VERSION_MAX:
        return None
    for key in _TYPED.keys() & fields.keys():
        _read_by_media_type(key, fields.pop(key), fields)
    if fields.get("media_start_delay_ms", MEDIA_START_DELAY_MS_MIN) < MEDIA_START_DELAY_MS_MIN:
        del fields["media_start_delay_ms"]
    if "ttfb_ms" in fields:
        _mend_ttfb(fields)
    return CmcdReport(**fields)


def _read_by_media_type(key: str, raw: str, fields: dict[str, Any]) -> None:
    main_field, audio_field = _TYPED[key]
    main, audio = read_typed(raw)
    if key in _OF_THE_OBJECT and fields.get("object_type") == "a" and raw[:1] != "(":
        # A bare number on a request for audio is of the audio; hls.js's lists are of the variant.
        main, audio = None, main
    if main is not None:
        fields[main_field] = main
    if audio is not None:
        fields[audio_field] = audio


def _mend_ttfb(fields: dict[str, Any]) -> None:
    """The first byte cannot come after the last one, nor years after the request."""
    if fields["ttfb_ms"] > TTFB_MS_MAX:
        del fields["ttfb_ms"]
    elif fields["ttfb_ms"] > fields.get("ttlb_ms", TTFB_MS_MAX):
        fields["ttfb_ms"] = fields["ttlb_ms"]
