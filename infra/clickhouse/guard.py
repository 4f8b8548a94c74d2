"""The gate, applied on a handle: what a statement is, is the engine's own judgement."""

from __future__ import annotations

from typing import Final

from infra.clickhouse import gate
from infra.clickhouse.engine import Handle, classify
from infra.clickhouse.errors import EngineError, syntax_error

# The engine's own max_query_size: it parses no longer statement.
_CANONICAL_BYTES_MAX: Final = 256 << 10


def admitted(handle: Handle, text: bytes, *, user: str, readonly: int) -> gate.Statement:
    """The statement, judged and let through. EngineError where it is refused to this user."""
    statement = classify(handle, text)
    if statement.statement_count == 0:
        raise _unreadable(handle, text)
    gate.check_class(statement, user=user, readonly=readonly)
    check_names(handle, text, user=user)
    return statement


def check_names(handle: Handle, text: bytes, *, user: str) -> None:
    """Raises EngineError where the text calls a refused function, be the name written plainly or
    with escapes.
    """
    if not gate.needs_canonical_text(text):
        return
    gate.check_canonical_text(text, user=user)
    # INSERT ... VALUES is not looked at twice: `formatQuery` drops its rows, and escapes abound in
    # them.
    if len(text) <= _CANONICAL_BYTES_MAX and text.lstrip()[:6].upper() != b"INSERT":
        gate.check_canonical_text(_canonical(handle, text), user=user)


def _unreadable(handle: Handle, text: bytes) -> EngineError:
    """The engine's own words on a text that is no statement."""
    try:
        _canonical(handle, text)
    except RuntimeError as error:
        said = str(error).partition(": In scope SELECT formatQuery")[0]
        return syntax_error(said.removeprefix("Code: 62. DB::Exception: "))
    return syntax_error("Syntax error")


def _canonical(handle: Handle, text: bytes) -> bytes:
    escaped = (
        text.decode("utf-8", "replace")
        .replace("\\", "\\\\")
        .replace("\t", "\\t")
        .replace("\n", "\\n")
    )
    return (
        handle.query(
            "SELECT formatQuery({text:String})", "TSVRaw", params={"text": escaped}
        ).bytes()
        or b""
    )
