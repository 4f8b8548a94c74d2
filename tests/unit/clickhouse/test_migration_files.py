"""Migrations are read, filled in and cut without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.clickhouse.migration_files import (
    MigrationError,
    Target,
    load_migrations,
    statements,
    variables,
)


def test_the_migrations_of_the_project_can_be_read_and_filled_in() -> None:
    found = load_migrations()
    assert [step.version for step in found] == list(range(1, len(found) + 1))
    for target in (Target(database="playhead"), Target(database="x", cluster="main")):
        values = variables(target)
        for step in found:
            assert statements(step.up, values)
            assert step.down is not None, f"{step.title} cannot be taken back"
            assert statements(step.down, values)


def test_a_script_is_cut_at_semicolons_of_its_own() -> None:
    script = "-- a; b\nSELECT ';' AS `;`; /* ; */ SELECT 2;\n;\n-- end\n"
    assert statements(script, {}) == ["-- a; b\nSELECT ';' AS `;`", "/* ; */ SELECT 2"]


def test_a_variable_without_value_is_named() -> None:
    with pytest.raises(MigrationError, match=r"\$\{nothing\} is no variable"):
        statements("SELECT ${nothing}", variables(Target(database="playhead")))


@pytest.mark.parametrize("name", ["", "a.b", "a; DROP DATABASE b", "1a", "a`"])
def test_a_database_name_is_a_name(name: str) -> None:
    with pytest.raises(MigrationError):
        variables(Target(database=name))


@pytest.mark.parametrize(
    "names",
    [("one.sql",), ("0001_a.sql", "0001_b.sql"), ("0002_a.down.sql",)],
    ids=["no number", "a number twice", "nothing to take back"],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError):
        load_migrations(tmp_path)


def test_a_cluster_gets_replicated_engines() -> None:
    values = variables(Target(database="x", cluster="main"))
    assert values["on_cluster"] == "ON CLUSTER 'main'"
    assert values["replicated"] == "Replicated"
    assert "replicated_deduplication_window_seconds = 604800" in values["dedup_window"]
