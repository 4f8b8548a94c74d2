"""Readers of single CMCD values: each takes the raw text of a value and gives it typed, or None.

A value that is not of its key's type reads as ``None``: the standard has servers ignore it and
keep the rest of the set, and every player in the field sends some.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

INTEGER_DIGITS_MAX = 15
TEXT_CHARS_MAX = 2048
ERROR_CODES_MAX = 8

_DECIMAL = re.compile(r"\d{1,12}(?:\.\d{1,3})?", re.ASCII)
_STRING_ITEM = re.compile(r'"((?:[^"\\]++|\\.)*+)"')
_ESCAPE = re.compile(r"\\(.)")
_BARE_ITEM = re.compile(r"[^\s\"();]{1,64}")

Reader = Callable[[str], Any]
# The value of the video (or muxed, or untyped) track, and that of the audio track.
TypedPair = tuple[int | None, int | None]


def read_integer(raw: str) -> int | None:
    """A whole number >= 0; a decimal is rounded, an inner list gives its first item."""
    if raw.isdecimal() and len(raw) <= INTEGER_DIGITS_MAX:
        return int(raw)
    main, audio = read_typed(raw)
    return audio if main is None else main


def read_decimal(raw: str) -> float | None:
    """A number >= 0, with up to three decimals."""
    return float(raw) if _DECIMAL.fullmatch(raw) else None


def read_boolean(raw: str) -> bool | None:
    """A flag: the bare key, ``?1`` or ``?0``."""
    if raw in ("", "?1"):
        return True
    return False if raw == "?0" else None


def read_text(raw: str) -> str | None:
    """A quoted string of bounded length, unescaped."""
    if len(raw) < 2 or raw[0] != '"' or raw[-1] != '"' or len(raw) > TEXT_CHARS_MAX:
        return None
    text = raw[1:-1]
    if not text.isascii():
        # HTTP headers reach us with undecodable bytes as lone surrogates, which no JSON holds.
        text = text.encode("utf-8", "replace").decode("utf-8")
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def read_texts(raw: str) -> tuple[str, ...] | None:
    """Codes as strings, tokens or numbers, alone or in an inner list; at most ERROR_CODES_MAX."""
    quoted = _STRING_ITEM.findall(raw[:TEXT_CHARS_MAX])
    found = quoted or _BARE_ITEM.findall(raw[:TEXT_CHARS_MAX])
    return tuple(_ESCAPE.sub(r"\1", item)[:64] for item in found[:ERROR_CODES_MAX]) or None


def token_reader(*allowed: str) -> Reader:
    """A reader of one of the allowed tokens."""
    known = {token: token for token in allowed}
    return known.get


def read_token(raw: str) -> str | None:
    """Any short token."""
    return raw if raw.isalnum() and len(raw) <= 8 else None


@lru_cache(maxsize=1024)  # Rates and rounded buffer lengths come again and again.
def read_typed(raw: str) -> TypedPair:
    """A number, or numbers by media type: ``104``, ``(2699)``, ``(2595;v 104;a)``."""
    main: int | None = None
    audio: int | None = None
    for item in raw.strip("()").split():
        text, _, media = item.partition(";")
        if text.isdecimal() and len(text) <= INTEGER_DIGITS_MAX:
            number = int(text)
        elif _DECIMAL.fullmatch(text):
            number = round(float(text))
        else:
            continue
        if media == "a":
            audio = number
        elif media == "v" or main is None:
            main = number
    return main, audio
