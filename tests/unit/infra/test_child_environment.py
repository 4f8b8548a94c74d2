"""What the processes of a deployment are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import Settings
from infra.stack import environment_of


def test_compiled_files_go_to_the_home_where_the_sources_are_to_have_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    told = environment_of(Settings(home=str(tmp_path)))
    assert "PYTHONDONTWRITEBYTECODE" not in told
    assert told["PYTHONPYCACHEPREFIX"] == str(tmp_path / "runtime" / "bytecode")


def test_otherwise_python_keeps_them_where_it_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    assert "PYTHONPYCACHEPREFIX" not in environment_of(Settings(home=str(tmp_path)))
