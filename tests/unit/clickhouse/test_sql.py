"""The lexer takes any bytes, and finds where data begins."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse import sql

HEAD_BYTES_MAX = 1 << 18
WORDS = ("INSERT", "INTO", "t", "FORMAT", "CSV", "VALUES", "SELECT", "1", "(", ")", " ", "\n", ";")
HOSTILE = ("'", "\\", '"', "`", "--", "/*", "*/", "#!", "$$", "\x00", "\xff")
SCRAPS = st.lists(st.sampled_from(WORDS + HOSTILE)).map(lambda scraps: "".join(scraps).encode())


@given(st.one_of(st.binary(max_size=400), SCRAPS))
def test_no_text_crashes_the_lexer(text: bytes) -> None:
    assert all(token.text == text[token.start : token.end] for token in sql.tokens(text))
    sql.output_format(text)
    sql.leading_words(text, 3)
    cut = sql.split_insert(text, HEAD_BYTES_MAX)
    if cut is not None:
        assert cut.target in text
        assert cut.data_offset <= len(text)


@given(SCRAPS, st.binary(max_size=200))
def test_data_is_never_read_as_statement(head: bytes, data: bytes) -> None:
    statement = b"INSERT INTO t (a) /* FORMAT TSV */ FORMAT RowBinary\n"
    cut = sql.split_insert(statement + data + head, HEAD_BYTES_MAX)
    assert cut is not None
    assert (statement + data + head)[cut.data_offset :] == data + head


@pytest.mark.parametrize(
    ("text", "target", "settings_clause", "format_name", "data"),
    [
        (b"INSERT INTO t FORMAT CSV 1,2", b"INSERT INTO t", b"", "CSV", b"1,2"),
        (b"insert into t format Native\n\x01\n", b"insert into t", b"", "Native", b"\x01\n"),
        (b"-- a\nINSERT INTO t FORMAT CSV\r\n1", b"-- a\nINSERT INTO t", b"", "CSV", b"1"),
        (
            b"INSERT INTO `FORMAT` (`a;`) FORMAT TSV\n1",
            b"INSERT INTO `FORMAT` (`a;`)",
            b"",
            "TSV",
            b"1",
        ),
        (
            b"INSERT INTO t SETTINGS a = 'FORMAT y' FORMAT TSV\n",
            b"INSERT INTO t",
            b"SETTINGS a = 'FORMAT y'",
            "TSV",
            b"",
        ),
        (b"INSERT INTO t FORMAT RowBinary\n\n\n", b"INSERT INTO t", b"", "RowBinary", b"\n\n"),
    ],
)
def test_an_insert_is_cut_where_its_data_begins(
    text: bytes, target: bytes, settings_clause: bytes, format_name: str, data: bytes
) -> None:
    cut = sql.split_insert(text, HEAD_BYTES_MAX)
    assert cut is not None
    assert (cut.target, cut.settings, cut.format_name) == (target, settings_clause, format_name)
    assert text[cut.data_offset :] == data


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t VALUES (1)",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x FORMAT CSV",
        b"INSERT INTO t",
        b"INSERT INTO t FORMAT",
        b"INSERT INTO t FORMAT 'CSV'",
        b"",
    ],
)
def test_what_brings_no_data_is_not_cut(text: bytes) -> None:
    assert sql.split_insert(text, HEAD_BYTES_MAX) is None


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 'FORMAT JSON'", None),
        (b"SELECT 1 -- FORMAT JSON", None),
        (b"SELECT (SELECT 1 FORMAT TSV) FORMAT CSV;", "CSV"),
        (b"SELECT format FROM t", None),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 1 SETTINGS max_threads = 1 FORMAT CSV", "CSV"),
        (b"SELECT format(1)", None),
    ],
)
def test_the_format_of_a_result_is_the_last_one_named(text: bytes, format_name: str | None) -> None:
    assert sql.output_format(text) == format_name


@pytest.mark.parametrize("scrap", [b"'", b"\\'", b"'\\", b"/*", b"`", b'"\\', b"''", b"--", b"#"])
def test_hostile_text_takes_linear_time(scrap: bytes) -> None:
    text = scrap * (500_000 // len(scrap))
    started_at = time.process_time()
    sum(1 for _ in sql.tokens(text))
    assert time.process_time() - started_at < 5


@given(st.text())
def test_a_quoted_text_is_one_token(text: str) -> None:
    literal = sql.quoted(text).encode("utf-8", "surrogatepass")
    assert [token.text for token in sql.tokens(literal)] == [literal]
    name = sql.quoted_name(text).encode("utf-8", "surrogatepass")
    assert [token.text for token in sql.tokens(name)] == [name]
