"""docs/security.md names tests for each threat and requirement: they exist, none is left out."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from tests.test_architecture import ROOT, tree_of

DOCUMENT = ROOT / "docs/security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NUMBER = re.compile(r"\| (T\d+|\d+\.\d+\.\d+) ")
THREATS = [f"T{number}" for number in range(1, 32)]
PROVEN_BY_THE_PAGE = {"11.1.1", "11.1.2", "14.1.1", "14.1.2", "14.2.1"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A threat or a requirement."""

    number: str
    says: str
    control: str
    tests: tuple[tuple[str, str], ...]
    """File and name; without a name the whole file."""
    open: str
    """What no test proves, or what is not met."""


def rows() -> list[Row]:
    found = []
    for line in DOCUMENT.read_text().splitlines():
        if not NUMBER.match(line):
            continue
        number, says, control, tests, is_open = (cell.strip() for cell in line.split("|")[1:-1])
        # Nothing stands in the column of tests but tests.
        assert not TEST.sub("", tests).strip(), number
        named = tuple(TEST.findall(tests))
        found.append(Row(number=number, says=says, control=control, tests=named, open=is_open))
    return found


ROWS = rows()


@lru_cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    )


def test_no_row_stands_twice() -> None:
    assert len({row.number for row in ROWS}) == len(ROWS)


def test_every_threat_is_in_the_table_in_its_order() -> None:
    assert [row.number for row in ROWS if row.number.startswith("T")] == THREATS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_what_is_claimed_has_tests_that_exist(row: Row) -> None:
    assert row.says
    assert row.control
    assert row.tests or row.number in PROVEN_BY_THE_PAGE, "no test: say what proves it"
    for file, name in row.tests:
        path = ROOT / file
        assert path.is_file(), f"{row.number}: there is no {file}"
        known = names_in(path)
        assert known, file
        assert not name or name in known, f"{row.number}: {file} has no {name}"
