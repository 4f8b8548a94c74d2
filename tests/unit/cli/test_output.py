"""What commands print is whole, and harmless to the terminal."""

from __future__ import annotations

import json

import pytest

from infra.cli.output import print_rows


def test_a_pipe_gets_long_cells_whole(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["x" * 200, "y" * 200]
    print_rows(("one", "other"), [cells])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == cells


def test_a_cell_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("detail",), [["[bold]\x1b]0;owned\x07[/bold]"]])
    shown = capsys.readouterr().out
    assert "[bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_json_is_an_array_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a", "b"), [(1, None), (2, "x")], as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
