"""What the operator reads."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.supervisor.report import Report, describe_exit, print_summary


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "signal 99")],
)
def test_exit_codes_are_told_in_words(code: int, words: str) -> None:
    assert words in describe_exit(code)


def test_what_a_component_printed_is_shown_as_it_is() -> None:
    out = io.StringIO()
    report = Report(Console(file=out, width=200))
    report.died("license", "exit code 1", 0.5, Path("logs/license.log"), ["[red]not markup"])
    assert "license" in out.getvalue()
    assert "starting again in 0.5 s" in out.getvalue()
    assert "[red]not markup" in out.getvalue()


def test_long_addresses_are_not_cut_in_a_narrow_terminal() -> None:
    out = io.StringIO()
    address = "http://127.0.0.1:8080/a-rather-long-path-that-does-not-fit"
    print_summary(
        Console(file=out, width=30),
        addresses={"player page": address},
        credentials={"password": "demo"},
        total_s=12.34,
    )
    assert address in out.getvalue()
    assert "Ready in 12.3 s" in out.getvalue()
