"""The house rules that no linter knows: sizes, and empty package files."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "streams", "agents", "gateway", "infra", "tests")
FILE_LINES_MAX = 430
FUNCTION_LINES_MAX = 70


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def tree_of(path: Path) -> ast.Module:
    """Parsed without a pause: CPython 3.11 keeps one depth for all threads, so a collection in
    which another one parses too ends in a SystemError.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def test_files_are_about_one_thing() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX
    }
    assert long == {}


def test_functions_fit_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": lines
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "misc"])
def test_no_file_is_named_after_nothing(word: str) -> None:
    assert [path for path in sources() if word in (path.stem, path.parent.name)] == []


def test_package_files_hold_a_docstring_only() -> None:
    for path in sources():
        if path.name == "__init__.py":
            body = tree_of(path).body
            assert len(body) <= 1, path
