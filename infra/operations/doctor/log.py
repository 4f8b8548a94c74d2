"""Kafka: reachable, topics as in the registry, everybody enrolled, nobody falling behind."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from infra.deployment import Deployment
from infra.keys.folder import ROLES
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.letters.box import read_letters
from infra.operations.letters.letter import LetterFilter, group_letters
from infra.operations.log_access import CONSUMER_GROUPS, read_newest, saying_why
from infra.operations.operator import require_keys
from schemas.envelope import Enrollment, Role
from streams.admin import planned_topics
from streams.administering import administering
from streams.identity import is_signed_by
from streams.lag import GroupLag, read_lags
from streams.partitions import GROWING, closed_topics, partition_counts
from streams.topics import SIGNING_KEYS

LAG_SAMPLES_APART_S: Final = 2.0
LAG_MS_MAX: Final = 30_000
"""Less is a burst."""
LETTERS_SINCE_MS: Final = 86_400_000
EXPIRY_WARNING_MS: Final = 30 * 86_400_000


async def check_topics(deployment: Deployment, _: int) -> list[Finding]:
    """Kafka answers, and has every topic with the registry's partitions."""
    broker = deployment.broker()
    wanted = {name: new.num_partitions for name, new in planned_topics(broker).items()}
    with saying_why(broker):
        async with administering(broker, request_timeout_ms=10_000) as admin:
            existing = await admin.list_topics()
            present = [name for name in wanted if name in existing]
            found = await partition_counts(admin, present)
            closed = await closed_topics(admin, present)
    growing = {broker.physical(topic.name) for topic in GROWING}
    return [
        good("kafka", f"answers at {broker.bootstrap}"),
        judge_topics(wanted, found, growing=growing, closed=closed),
    ]


def judge_topics(
    wanted: Mapping[str, int],
    found: Mapping[str, int],
    *,
    growing: Collection[str] = (),
    closed: Collection[str] = (),
) -> Finding:
    """Partitions by topic, wanted and found; `growing` may have more, if they all have as many."""
    missing = [name for name in wanted if name not in found]
    if missing:
        return bad("topics", f"missing: {', '.join(missing)}", "playhead topics apply")
    if closed:
        mend = "give the `playhead topics migrate` that was killed once more: it goes on"
        return bad("topics", f"nobody can write to {', '.join(sorted(closed))}", mend)
    most = max((found[name] for name in growing if name in found), default=0)
    other = [
        name
        for name, count in wanted.items()
        if found[name] != (max(count, most) if name in growing else count)
    ]
    if other:
        says = ", ".join(f"{name} has {found[name]}, not {wanted[name]}" for name in other)
        if set(other) <= set(growing):
            return bad("topics", f"partitions: {says}", "playhead topics migrate: the same for all")
        return bad("topics", f"partitions: {says}", "keys moved: make these topics anew, empty")
    return good("topics", f"{len(wanted)} as in the registry")


async def check_enrollments(deployment: Deployment, now_ms: int) -> list[Finding]:
    """Every component's key of this home is enrolled under this home's root."""
    keys = require_keys(deployment)
    root = keys.root_public()
    enrolled: dict[str, Enrollment] = await read_newest(deployment, SIGNING_KEYS)
    trusted = [each for each in enrolled.values() if is_signed_by(root, each)]
    own: dict[Role, str] = {
        role: keys.identity(role).key_id
        for role in ROLES
        if (deployment.keys / f"{role}.json").exists()
    }
    return judge_enrollments(trusted, own, now_ms)


def judge_enrollments(
    trusted: Iterable[Enrollment], own: Mapping[Role, str], now_ms: int
) -> list[Finding]:
    """`trusted` are those that the root signed; `own` the key ids of this home, by role."""
    mend = "start again with `make run`: it enrolls everybody anew"
    by_id = {each.key_id: each for each in trusted}
    missing = [role for role, key_id in own.items() if key_id not in by_id]
    if missing:
        return [bad("enrollments", f"not enrolled: {', '.join(sorted(missing))}", mend)]
    ends = {role: by_id[key_id].not_after_ms for role, key_id in own.items()}
    ending = [role for role, end_ms in ends.items() if end_ms < now_ms + EXPIRY_WARNING_MS]
    if ending:
        return [bad("enrollments", f"end within 30 days: {', '.join(sorted(ending))}", mend)]
    return [good("enrollments", f"{len(own)} components, signed by the root")]


async def check_lag(deployment: Deployment, now_ms: int) -> list[Finding]:
    """Two looks, two seconds apart: nobody is late and getting later."""
    broker = deployment.broker()
    with saying_why(broker):
        before = await read_lags(broker, CONSUMER_GROUPS, now_ms)
        await asyncio.sleep(LAG_SAMPLES_APART_S)
        later_ms = now_ms + round(LAG_SAMPLES_APART_S * 1000)
        after = await read_lags(broker, CONSUMER_GROUPS, later_ms)
    return judge_lags(before, after)


def judge_lags(before: Iterable[GroupLag], after: Iterable[GroupLag]) -> list[Finding]:
    """Bad is who is more than LAG_MS_MAX behind and did not come nearer."""
    first = {(lag.consumer_group, lag.topic): lag.consumer_lag for lag in before}
    falling = [
        lag
        for lag in after
        if lag.consumer_lag_ms > LAG_MS_MAX
        and lag.consumer_lag >= first.get((lag.consumer_group, lag.topic), 0)
    ]
    if not falling:
        return [good("lag", "nobody falls behind")]
    return [
        bad(
            "lag",
            f"{lag.consumer_group} is {lag.consumer_lag} messages and"
            f" {lag.consumer_lag_ms // 1000} s behind on {lag.topic}, and does not catch up",
            "is it running? `playhead status`; else start a second worker of it on another machine",
        )
        for lag in falling
    ]


async def check_dead_letters(deployment: Deployment, now_ms: int) -> list[Finding]:
    """Letters of the last day that nobody has handled."""
    wanted = LetterFilter(since_ms=now_ms - LETTERS_SINCE_MS)
    groups = group_letters(await read_letters(deployment, wanted))
    if not groups:
        return [good("dead letters", "none in the last day")]
    return [
        bad(
            "dead letters",
            f"{group.letters} of {group.topic} from {group.agent}: {group.reason}",
            f"playhead dead-letters list --topic {group.topic} --each; then redrive or drop them",
        )
        for group in groups
    ]
