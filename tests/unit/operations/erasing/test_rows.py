"""What is rewritten of an account's rows, and what never is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import infra.clickhouse
from infra.operations.erasing.rows import KEPT, PersonalColumn, TableErasure, plan_rows
from schemas.errors import PlayheadError

ACCOUNT, PROFILE = "8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d", "01930000-0000-7000-8000-00000000000a"
IDS = {ACCOUNT: "new-account-id", PROFILE: "new-profile-id"}
MIGRATIONS = Path(infra.clickhouse.__file__).parent / "migrations"


def column(table: str, name: str, *, is_in_key: bool = False) -> PersonalColumn:
    return PersonalColumn(table=table, name=name, is_in_key=is_in_key)


def plan_of(*columns: PersonalColumn) -> TableErasure:
    (plan,) = plan_rows(columns, IDS)
    return plan


def test_ids_are_replaced_and_networks_taken_out() -> None:
    plan = plan_of(*(column("events_raw", name) for name in ("account_id", "network")))
    assert "account_id = replaceAll(replaceAll(account_id, " in plan.rewrite
    assert "network = ''" in plan.rewrite
    assert plan.rewrite.startswith("ALTER TABLE events_raw UPDATE ")
    for old, new in IDS.items():
        assert f"'{old}', '{new}'" in plan.rewrite
        assert old in plan.count_before
        assert new not in plan.count_before
        assert new in plan.count_after
        assert old not in plan.count_after


def test_networks_and_devices_in_payloads_go_with_the_ids() -> None:
    assert "network|device_id" in plan_of(column("decisions_raw", "payload")).rewrite


def test_what_rows_are_sorted_by_is_not_rewritten() -> None:
    plan = plan_of(
        column("sessions_raw", "session_id", is_in_key=True), column("sessions_raw", "account_id")
    )
    assert "session_id" not in plan.rewrite


def test_the_audit_chain_is_not_rewritten() -> None:
    plan = plan_of(column("decisions_raw", "payload"))
    for statement in (plan.rewrite, plan.count_before):
        assert KEPT["decisions_raw"] in statement


@pytest.mark.parametrize("bad", ["", "x'; DROP TABLE events_raw --", "a" * 65, "ab\ncdefgh"])
def test_only_ids_come_into_a_statement(bad: str) -> None:
    with pytest.raises(PlayheadError, match="no id"):
        plan_rows([column("events_raw", "account_id")], {bad: "new-account-id"})
    with pytest.raises(PlayheadError, match="no id"):
        plan_rows([column("events_raw", "account_id")], {ACCOUNT: bad})


def test_every_column_that_holds_an_account_is_marked_as_personal() -> None:
    """A new table whose migration forgets the mark would not be erased."""
    names = "account_id|profile_id|network|device_id|email"
    declared = re.compile(rf"^\s+({names}) \S+( COMMENT '([^']*))?", re.MULTILINE)
    unmarked = {
        f"{path.name}: {found[1]}"
        for path in MIGRATIONS.glob("*.sql")
        for found in declared.finditer(path.read_text())
        if not (found[3] or "").startswith("[personal]")
    }
    assert unmarked == set()
