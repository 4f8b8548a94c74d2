"""The table of checks: a new one is a function and a line here."""

from __future__ import annotations

from typing import Final

from infra.operations.doctor.account_events import check_account_events
from infra.operations.doctor.finding import Check
from infra.operations.doctor.key_rotation import check_key_rotation
from infra.operations.doctor.log import (
    check_dead_letters,
    check_enrollments,
    check_lag,
    check_topics,
)
from infra.operations.doctor.machine import check_disk, check_keys, check_runtime
from infra.operations.doctor.path import check_canary, check_ledger
from infra.operations.doctor.processes import check_components, check_ports, check_supervisor
from infra.operations.doctor.store import check_clickhouse

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("disk", check_disk),
    ("java", check_runtime),
    ("keys", check_keys),
    ("ports", check_ports),
    ("supervisor", check_supervisor),
    ("components", check_components),
    ("kafka", check_topics),
    ("enrollments", check_enrollments),
    ("key rotation", check_key_rotation),
    ("account events", check_account_events),
    ("clickhouse", check_clickhouse),
    ("lag", check_lag),
    ("dead letters", check_dead_letters),
    ("ledger", check_ledger),
    ("canary", check_canary),
)
"""In the order in which things are mended."""
