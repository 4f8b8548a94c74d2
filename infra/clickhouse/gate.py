"""Which statements may reach the engine at all: the second line behind Landlock, and the first
where there is none.

Grants do not stop what is refused here (README.md, Security). Text can be dressed up in more ways
than a list can hold, so this is no wall by itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from infra.clickhouse import sql
from infra.clickhouse.errors import not_allowed, read_only, syntax_error

# CONTROL is chDB's class for what touches more than tables: files (INTO OUTFILE, ATTACH, BACKUP),
# the process (SYSTEM), and the harmless beginnings listed here.
_CONTROL_ALLOWED: Final = (
    (b"SET",),
    (b"USE",),
    (b"CREATE", b"TEMPORARY"),
    (b"KILL", b"QUERY"),
    (b"SYSTEM", b"FLUSH"),
)
# SET ROLE and SET DEFAULT ROLE begin like a setting; the engine refuses them by itself, having no
# access storage.
_STATEFUL: Final = ((b"SET",), (b"USE",), (b"CREATE", b"TEMPORARY"))
FUNCTIONS_REFUSED: Final = frozenset((b"FILE", b"PYTHON", b"EXECUTABLE"))


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a statement before it runs: chDB's judgement and its first words."""

    text: bytes
    query_class: str
    statement_count: int
    words: tuple[bytes, ...]

    @property
    def is_read_only(self) -> bool:
        """Whether it changes nothing."""
        return self.query_class == "READ_ONLY"

    @property
    def is_select(self) -> bool:
        """Whether its result can be fetched in pieces."""
        return self.words[:1] in ((b"SELECT",), (b"WITH",), (b"FROM",))

    @property
    def is_use(self) -> bool:
        """Whether it changes the session's database."""
        return self.words[:1] == (b"USE",)

    @property
    def leaves_state(self) -> bool:
        """Whether a session needs a handle of its own from here on."""
        return _begins_with(self.words, _STATEFUL)


def leaves_state(text: bytes) -> bool:
    """The same, of a text that no handle has judged yet."""
    return _begins_with(tuple(sql.leading_words(text, 2)), _STATEFUL)


def check_class(statement: Statement, *, user: str, readonly: int) -> None:
    """Raises EngineError for a statement whose kind is refused, to all or to read-only users."""
    if statement.statement_count > 1:
        raise syntax_error("Syntax error (Multi-statements are not allowed)")
    if statement.query_class == "CONTROL" and not _begins_with(statement.words, _CONTROL_ALLOWED):
        raise not_allowed(f"{user}: Not allowed on the embedded engine")
    # An INSERT counts as global where USE chose a system database; into those, the engine lets
    # nobody write.
    if statement.query_class == "MUTATING_GLOBAL" and statement.words[:1] != (b"INSERT",):
        raise not_allowed(f"{user}: The embedded engine keeps no users, roles or functions")
    if readonly and not statement.is_read_only and not statement.leaves_state:
        raise read_only(user)


def _begins_with(words: tuple[bytes, ...], heads: tuple[tuple[bytes, ...], ...]) -> bool:
    return any(words[: len(head)] == head for head in heads)


def needs_canonical_text(text: bytes) -> bool:
    """Whether a refused name may stand in the text, plainly or behind an escape."""
    if b"\\" in text:
        return True
    folded = text.upper()
    return any(name in folded for name in FUNCTIONS_REFUSED) or b"INFILE" in folded


def check_canonical_text(text: bytes, *, user: str) -> None:
    """Raises EngineError where a text without escapes in its names (see `formatQuery`) calls a
    refused function.

    A name counts as called before an opening bracket, and where it is an argument by itself:
    `arrayMap(file, x)` and `APPLY(file)` call it too.
    """
    before, name = b"", b""
    for token in sql.tokens(text):
        word = token.word.strip(b'`"')
        if name == b"FROM" and word == b"INFILE":
            raise not_allowed(f"{user}: FROM INFILE is not allowed on the embedded engine")
        if name in FUNCTIONS_REFUSED and _is_call(before, token.text):
            raise not_allowed(f"{user}: {name.decode()} is not allowed on the embedded engine")
        before, name = name, word


def _is_call(before: bytes, after: bytes) -> bool:
    return after == b"(" or (before in (b"(", b",") and after in (b",", b")"))
