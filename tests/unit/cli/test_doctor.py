"""What doctor makes of what it sees."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.clickhouse.migrate import MigrationStatus, State
from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.operations.commits import sum_up
from infra.operations.doctor.finding import Finding, bad, good, run_checks
from infra.operations.doctor.log import judge_enrollments, judge_lags, judge_topics
from infra.operations.doctor.machine import check_keys, open_to_others
from infra.operations.doctor.processes import wanted_ports
from infra.operations.doctor.store import judge_migrations
from infra.settings import Settings
from schemas.errors import PlayheadError
from streams.identity import enroll, load_or_create_identity
from streams.lag import GroupLag

DAY_MS = 86_400_000


def a_lag(count: int, late_ms: int, *, group: str = "fold", topic: str = "t") -> GroupLag:
    return GroupLag(
        consumer_group=group,
        topic=topic,
        committed_offset=0,
        high_watermark=count,
        consumer_lag=count,
        consumer_lag_ms=late_ms,
    )


def a_migration(state: State) -> MigrationStatus:
    return MigrationStatus(
        version=1, name="events", state=state, applied_at=None, can_be_taken_back=True
    )


def test_topics_are_missing_or_of_another_size() -> None:
    assert judge_topics({"a": 8}, {"a": 8, "foreign": 3}).is_ok
    assert "a" in judge_topics({"a": 8}, {}).says
    assert judge_topics({"a": 8}, {}).mend == "playhead topics apply"
    assert not judge_topics({"a": 8}, {"a": 4}).is_ok


def test_a_group_is_ill_only_when_late_and_not_catching_up() -> None:
    assert all(f.is_ok for f in judge_lags([a_lag(10, 99_000)], [a_lag(4, 99_000)]))
    assert all(f.is_ok for f in judge_lags([a_lag(1, 1)], [a_lag(900, 2_000)]))
    (found,) = judge_lags([a_lag(10, 40_000)], [a_lag(10, 42_000)])
    assert not found.is_ok


def test_migrations_are_pending_or_changed() -> None:
    assert judge_migrations([a_migration("applied")]).is_ok
    assert judge_migrations([a_migration("pending")]).mend == "playhead migrate up"
    assert "changed" in judge_migrations([a_migration("changed")]).says
    assert not judge_migrations([a_migration("unknown")]).is_ok


def test_enrollments_are_missing_or_ending(tmp_path: Path) -> None:
    identity = load_or_create_identity(tmp_path / "gateway.json", "gateway")
    enrolled = enroll(Ed25519PrivateKey.generate(), identity, 0)
    own = {identity.role: identity.key_id}
    assert judge_enrollments([enrolled], own, DAY_MS)[0].is_ok
    assert "not enrolled" in judge_enrollments([], own, DAY_MS)[0].says
    assert "end within" in judge_enrollments([enrolled], own, 380 * DAY_MS)[0].says


async def test_an_open_key_file_is_found_with_its_mend(tmp_path: Path) -> None:
    deployment = Deployment(settings=Settings(home=str(tmp_path)))
    (finding,) = await check_keys(deployment, 0)
    assert not finding.is_ok
    KeyFolder(deployment.keys).create()
    assert (await check_keys(deployment, 0))[0].is_ok
    (deployment.keys / "kek-root.key").chmod(0o640)
    (finding,) = await check_keys(deployment, 0)
    assert finding.mend == f"chmod go= {deployment.keys / 'kek-root.key'}"
    assert open_to_others(deployment.keys) == [deployment.keys / "kek-root.key"]


def test_the_ports_of_a_start_are_those_of_this_machine() -> None:
    settings = Settings(
        kafka="broker:9092", gateway_port=80, cdn_urls="http://127.0.0.1:8081,https://cdn.example"
    )
    names = [name for name, _ in wanted_ports(Deployment(settings=settings))]
    assert names == ["gateway", "clickhouse", "edge-alpha"]


async def test_a_check_that_cannot_look_is_a_bad_finding() -> None:
    async def fails(_: Deployment, __: int) -> list[Finding]:
        raise PlayheadError("nothing is there")

    async def looks(_: Deployment, __: int) -> list[Finding]:
        return [good("b", "fine")]

    deployment = Deployment(settings=Settings())
    found = await run_checks([("a", fails), ("b", looks)], deployment, 0)
    assert [f.is_ok for f in found] == [False, True]
    assert found[0].says == "nothing is there"
    assert bad("a", "x", "y") != msgspec.structs.replace(good("a", "x"), mend="y")


def test_a_group_is_as_late_as_its_latest_topic() -> None:
    lags = [a_lag(3, 50), a_lag(4, 900, topic="u"), a_lag(9, 9, group="license")]
    status = sum_up("fold", lags, 77)
    assert (status.topics, status.consumer_lag, status.consumer_lag_ms) == (2, 7, 900)
    assert status.last_committed_at_ms == 77
