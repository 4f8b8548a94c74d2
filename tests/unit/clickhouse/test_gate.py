"""Which statements are let through."""

from __future__ import annotations

import pytest

from infra.clickhouse import gate, sql
from infra.clickhouse.errors import EngineError


def a_statement(text: str, query_class: str, count: int = 1) -> gate.Statement:
    raw = text.encode()
    words = tuple(sql.leading_words(raw, 2))
    return gate.Statement(text=raw, query_class=query_class, statement_count=count, words=words)


@pytest.mark.parametrize(
    ("text", "query_class", "code"),
    [
        ("SELECT 1 INTO OUTFILE '/x'", "CONTROL", 497),
        ("ATTACH TABLE t FROM 'x' (a Int8) ENGINE = Memory", "CONTROL", 497),
        ("BACKUP TABLE t TO File('x')", "CONTROL", 497),
        ("SYSTEM SHUTDOWN", "CONTROL", 497),
        ("GRANT SELECT ON *.* TO x", "MUTATING_GLOBAL", 497),
        ("CREATE FUNCTION f AS x -> x", "MUTATING_GLOBAL", 497),
    ],
)
def test_what_reaches_beyond_tables_is_refused_to_the_writer_too(
    text: str, query_class: str, code: int
) -> None:
    with pytest.raises(EngineError) as refusal:
        gate.check_class(a_statement(text, query_class), user="playhead", readonly=0)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "text", ["SET max_threads = 1", "USE x", "CREATE TEMPORARY TABLE x (a Int8)", "(SET a = 1)"]
)
def test_what_a_session_needs_is_let_through(text: str) -> None:
    gate.check_class(a_statement(text, "CONTROL"), user="default", readonly=2)


@pytest.mark.parametrize(
    "text", ["INSERT INTO t VALUES (1)", "DROP TABLE t", "ALTER TABLE t DELETE WHERE 1"]
)
def test_a_reader_changes_nothing(text: str) -> None:
    with pytest.raises(EngineError) as refusal:
        gate.check_class(a_statement(text, "MUTATING"), user="default", readonly=2)
    assert refusal.value.code == 164
    gate.check_class(a_statement(text, "MUTATING"), user="playhead", readonly=0)


def test_one_statement_at_a_time() -> None:
    with pytest.raises(EngineError, match="Multi-statements"):
        gate.check_class(a_statement("SELECT 1; SELECT 2", "READ_ONLY", 2), user="x", readonly=0)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT file('/etc/passwd')",
        "SELECT FILE ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * FROM Python(requests)",
        "SELECT * FROM executable('id', TSV, 'a String')",
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        "SELECT file/**/('/etc/passwd')",
    ],
)
def test_functions_that_leave_the_engine_are_refused(text: str) -> None:
    assert gate.needs_canonical_text(text.encode())
    with pytest.raises(EngineError) as refusal:
        gate.check_canonical_text(text.encode(), user="default")
    assert refusal.value.code == 497


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'file(' AS x",
        "SELECT file, profile(1) FROM t",
        "SELECT python_version FROM t",
        "SELECT t.file FROM t -- file(1)",
        "SELECT _file FROM t",
    ],
)
def test_the_same_words_elsewhere_are_let_through(text: str) -> None:
    gate.check_canonical_text(text.encode(), user="default")


def test_a_name_behind_an_escape_is_looked_at_again() -> None:
    assert gate.needs_canonical_text(rb"SELECT `fi\x6ce`('/etc/passwd')")
    assert not gate.needs_canonical_text(b"SELECT count() FROM events")
