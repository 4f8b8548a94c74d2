"""Which partitions stand still."""

from __future__ import annotations

from infra.progress import Standstill


def test_a_partition_whose_commits_move_never_stands_still() -> None:
    standstill = Standstill(60)
    for look in range(100):
        assert standstill.judge({"p": look}, {"p": look + 5}, look * 30.0) == []


def test_records_that_wait_without_a_commit_are_a_standstill() -> None:
    standstill = Standstill(60)
    assert standstill.judge({"p": 5, "q": 5}, {"p": 5, "q": 5}, 0) == []
    assert standstill.judge({"p": 5, "q": 6}, {"p": 6, "q": 6}, 30) == []
    assert standstill.judge({"p": 5, "q": 6}, {"p": 9, "q": 6}, 59) == []
    assert standstill.judge({"p": 5, "q": 6}, {"p": 9, "q": 6}, 60) == ["p"]


def test_an_idle_partition_is_none() -> None:
    standstill = Standstill(60)
    assert standstill.judge({"p": 5}, {"p": 5}, 0) == []
    assert standstill.judge({"p": 5}, {"p": 5}, 1_000) == []
    assert standstill.judge({"p": 5}, {"p": 6}, 1_010) == []
    assert standstill.judge({"p": 6}, {"p": 6}, 1_020) == []


def test_what_retention_removed_before_the_first_look_is_not_waited_for() -> None:
    standstill = Standstill(60)
    assert standstill.judge({}, {"p": 700}, 0) == []
    assert standstill.judge({}, {"p": 700}, 1_000) == []
    assert standstill.judge({}, {"p": 701}, 1_060) == ["p"]


def test_an_outage_of_the_broker_is_excused() -> None:
    standstill = Standstill(60)
    standstill.judge({"p": 5}, {"p": 5}, 0)
    standstill.judge({"p": 5}, {"p": 6}, 10)
    standstill.excuse(500)
    assert standstill.judge({"p": 5}, {"p": 6}, 510) == []
    assert standstill.judge({"p": 5}, {"p": 6}, 560) == ["p"]


def test_a_partition_that_went_to_another_worker_is_forgotten() -> None:
    standstill = Standstill(60)
    standstill.judge({"p": 5}, {"p": 5}, 0)
    standstill.judge({}, {}, 10)
    assert standstill.judge({"p": 5}, {"p": 9}, 100) == []
