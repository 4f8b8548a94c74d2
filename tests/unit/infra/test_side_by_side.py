"""Tests that share a browser or a deployment stay in one process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.side_by_side import group_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("used", "group"),
    [
        (r"pytest\.mark\.browser", "a browser"),
        # But for a file that has one of its own.
        (
            r"(?s)^(?!.*def operator\().*def test_\w+\(\s*operator: Operator",
            "an operated deployment",
        ),
        (r"\(deployment: Restartable", "a deployment that restarts"),
    ],
)
def test_what_is_shared_is_started_once(used: str, group: str) -> None:
    files = [
        file.relative_to(ROOT).as_posix()
        for file in ROOT.glob("tests/*/test_*.py")
        if re.search(used, file.read_text(encoding="utf-8"))
    ]
    assert len(files) > 1
    assert {group_of(f"{file}::test_it") for file in files} == {group}


def test_a_file_that_shares_nothing_goes_by_itself() -> None:
    assert group_of("tests/unit/test_logs.py::test_it[a::b]") == "tests/unit/test_logs.py"
