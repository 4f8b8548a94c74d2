"""Just enough of ClickHouse's lexer to see what a statement is, and where an INSERT's data begins.

Nothing here raises, whatever the bytes are, and the time is linear in their number: the text comes
from anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

# An unterminated string or comment reaches to the end of the text, and possessive quantifiers keep
# the match linear: otherwise a megabyte of quotes would be scanned once per quote.
_TOKEN: Final = re.compile(
    rb"""(?P<space>\s++|--[^\n]*+|\#[!\ ][^\n]*+|/\*(?:.*?\*/|.*+))"""
    rb"""|'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)"""
    rb"""|`(?:[^`\\]|\\.|``)*+(?:`|\\?\Z)"""
    rb"""|"(?:[^"\\]|\\.|"")*+(?:"|\\?\Z)"""
    rb"""|[A-Za-z_][A-Za-z0-9_]*+|[0-9][0-9A-Za-z_.]*+|.""",
    re.DOTALL,
)
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*\Z")
_OPENING: Final = frozenset((b"(", b"[", b"{"))
_CLOSING: Final = frozenset((b")", b"]", b"}"))
_NOT_INLINE_DATA: Final = frozenset((b"SELECT", b"WATCH", b"VALUES", b"WITH"))


class Token(msgspec.Struct, frozen=True):
    """One significant token; `depth` counts the brackets open after it."""

    start: int
    end: int
    depth: int
    text: bytes

    @property
    def word(self) -> bytes:
        """In capitals, as keywords are compared."""
        return self.text.upper()


class InsertText(msgspec.Struct, frozen=True, kw_only=True):
    """`INSERT ... FORMAT f <data>` cut in its parts."""

    target: bytes
    """From INSERT to the columns."""
    settings: bytes
    """The SETTINGS clause; empty without one."""
    format_name: str
    data_offset: int
    """Where the data begins."""

    @property
    def head(self) -> bytes:
        """The statement without its data."""
        return b"%s\n%s\nFORMAT %s" % (self.target, self.settings, self.format_name.encode())


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens that are neither space nor comment, in order."""
    depth = position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        assert match is not None, "the last alternative takes any byte"
        start, position = position, match.end()
        if match.lastgroup == "space":
            continue
        text = match.group()
        if text in _OPENING:
            depth += 1
        elif text in _CLOSING:
            depth = max(0, depth - 1)
        yield Token(start, position, depth, text)


def leading_words(sql: bytes, count: int) -> list[bytes]:
    """The first `count` tokens in capitals, opening brackets left out."""
    words: list[bytes] = []
    for token in tokens(sql):
        if token.text == b"(":
            continue
        words.append(token.word)
        if len(words) == count:
            break
    return words


def split_insert(sql: bytes, head_bytes_max: int) -> InsertText | None:
    """Cuts `INSERT ... FORMAT f <data>`; None for any other statement, and for an INSERT that
    brings no data with it.
    """
    settings_start = format_start = -1
    for number, token in enumerate(tokens(sql[:head_bytes_max])):
        if number == 0 and token.word != b"INSERT":
            return None
        if token.depth > 0:
            continue
        if format_start >= 0:
            return _cut(sql, settings_start, format_start, token)
        if token.word in _NOT_INLINE_DATA:
            return None
        if token.word == b"FORMAT":
            format_start = token.start
        elif token.word == b"SETTINGS" and settings_start < 0:
            settings_start = token.start
    return None


def _cut(sql: bytes, settings_start: int, format_start: int, name: Token) -> InsertText | None:
    if _NAME.match(name.text) is None:
        return None
    target_end = settings_start if settings_start >= 0 else format_start
    return InsertText(
        target=sql[:target_end].strip(),
        settings=sql[target_end:format_start].strip(),
        format_name=name.text.decode("ascii"),
        data_offset=name.end + _separator_length(sql[name.end : name.end + 2]),
    )


def _separator_length(following: bytes) -> int:
    """One separator stands between the format's name and the data: more would be eaten from binary
    formats.
    """
    if following == b"\r\n":
        return 2
    return 1 if following[:1] in (b"\n", b" ", b";", b"\t") else 0


def output_format(sql: bytes) -> str | None:
    """The name in the FORMAT clause that ends the statement, None where it has none."""
    found: bytes | None = None
    before = last = b""
    for token in tokens(sql):
        if token.depth > 0:
            before, last = last, b""
            continue
        if token.text == b";" or token.word == b"SETTINGS":
            found = _named_format(before, last) or found
        before, last = last, token.text
    name = _named_format(before, last) or found
    return name.decode("ascii") if name is not None else None


def _named_format(before: bytes, last: bytes) -> bytes | None:
    return last if before.upper() == b"FORMAT" and _NAME.match(last) else None


def quoted(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted_name(text: str) -> str:
    """A ClickHouse identifier in backquotes."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"
