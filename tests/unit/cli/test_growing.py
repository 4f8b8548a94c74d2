"""When topics may be given more partitions, and when not."""

from __future__ import annotations

import msgspec
import pytest

from infra.operations.doctor.log import judge_topics
from infra.operations.growing import (
    READERS,
    GroupStanding,
    Growth,
    TopicGrowth,
    why_pinned,
    why_refused,
)
from streams.partitions import GROWING
from streams.topics import TOPICS

EVENTS, BANDWIDTH = (topic.name for topic in GROWING)


def a_growth(partitions: int = 16, *, is_closed: bool = False, **changes: object) -> Growth:
    standing = GroupStanding(
        consumer_group="fold", consumer_lag=3, consumer_lag_ms=100, is_running=True
    )
    return Growth(
        partitions=partitions,
        topics=tuple(
            TopicGrowth(topic=topic.name, partitions=8, records=10, is_closed=is_closed)
            for topic in GROWING
        ),
        groups=(msgspec.structs.replace(standing, **changes),),
    )


def test_a_sound_deployment_may_grow() -> None:
    assert why_refused(a_growth()) == ""
    assert not a_growth().is_done


def test_nothing_is_left_to_do_once_they_have_them_and_are_open() -> None:
    assert a_growth(8).is_done
    assert not a_growth(8, is_closed=True).is_done


@pytest.mark.parametrize(
    ("growth", "says"),
    [
        (a_growth(4), "takes none away"),
        (a_growth(is_running=False), "fold reads to the end, which does not run"),
        (a_growth(consumer_lag_ms=60_000), "fold by 60 s"),
    ],
)
def test_what_would_lose_order_or_last_long_is_refused(growth: Growth, says: str) -> None:
    assert says in why_refused(growth)


def test_what_was_closed_goes_on_however_late_agents_are() -> None:
    assert why_refused(a_growth(is_closed=True, consumer_lag_ms=60_000)) == ""


def test_every_other_topic_says_why_it_keeps_its_partitions() -> None:
    assert [topic for topic in TOPICS if not why_pinned(topic)] == list(GROWING)


def test_whoever_reads_the_topics_must_come_to_the_end() -> None:
    assert set(READERS) == {"fold", "bitrate", "steering", "analytics.sink"}


def test_doctor_takes_topics_that_have_grown_together_and_finds_the_closed_one() -> None:
    wanted = {EVENTS: 8, BANDWIDTH: 8, "sessions.v1": 8}

    def is_ok(found: dict[str, int], closed: set[str] | None = None) -> bool:
        return judge_topics(
            wanted, wanted | found, growing=(EVENTS, BANDWIDTH), closed=closed or set()
        ).is_ok

    assert is_ok({})
    assert is_ok({EVENTS: 16, BANDWIDTH: 16})
    assert not is_ok({EVENTS: 16})
    assert not is_ok({"sessions.v1": 16})
    assert not is_ok({}, {EVENTS})
