"""Periods: as many partitions as a table has, so long they gather."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.analytics.chunks import ChunkLimits
from agents.analytics.intakes import stored_topics, table_of
from agents.analytics.periods import (
    DEBT_MS_MAX,
    INSERTS_PER_S_MAX,
    PERIOD_MS_MAX,
    Allowance,
    Period,
    plan_periods,
)


def planned(partitions: dict[str, int]) -> dict[str, Period]:
    return plan_periods(partitions, dict.fromkeys(partitions, "table"), bucket_ms_min=100)


def test_a_table_gets_its_inserts_per_second_however_many_partitions_it_has() -> None:
    for partitions in ({"a": 1, "b": 2}, {"a": 4}, {"a": 3, "b": 4}):
        periods = planned(partitions)
        rate = sum(partitions[name] * 1000 / periods[name].bucket_ms for name in partitions)
        assert rate <= INSERTS_PER_S_MAX


def test_no_event_waits_longer_than_a_viewer_of_dashboards_does() -> None:
    assert planned({"a": 500})["a"].bucket_ms == PERIOD_MS_MAX


def test_the_partitions_of_a_table_do_not_end_their_buckets_together() -> None:
    partitions = {"a": 3, "b": 4}
    periods = planned(partitions)
    phases = [periods[name].phase_ms(n) for name in partitions for n in range(partitions[name])]
    assert len(set(phases)) == 7
    assert max(phases) < periods["a"].bucket_ms


def test_topics_of_other_tables_do_not_count() -> None:
    periods = plan_periods({"a": 2, "b": 6}, {"a": "x", "b": "y"}, bucket_ms_min=100)
    assert (periods["a"].bucket_ms, periods["b"].bucket_ms) == (1000, 3000)


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=200))
def test_early_inserts_come_only_where_a_table_gets_few(steps: list[tuple[int, bool]]) -> None:
    """Some chunks are due whatever the table gets; others may come early."""
    now_ms, inserted_at_ms = 1_000_000, list[int]()
    allowance = Allowance(lambda: now_ms)
    for passed_ms, is_due in steps:
        now_ms += passed_ms
        if is_due or allowance.has_one():
            of_last_half_second = [at for at in inserted_at_ms if at > now_ms - 500]
            assert is_due or not of_last_half_second
            allowance.spend()
            inserted_at_ms.append(now_ms)


def test_a_burst_is_not_held_against_a_table_for_ever() -> None:
    now_ms = 1_000_000
    allowance = Allowance(lambda: now_ms)
    for _ in range(1_000):
        allowance.spend()
    now_ms += DEBT_MS_MAX
    assert allowance.has_one()


def test_every_stored_topic_has_a_period() -> None:
    topics = stored_topics()
    tables = {name: table_of(name) for name in topics}
    shortest_ms = ChunkLimits().bucket_ms
    periods = plan_periods(topics, tables, bucket_ms_min=shortest_ms)
    assert periods.keys() == topics.keys()
    assert all(shortest_ms <= each.bucket_ms <= PERIOD_MS_MAX for each in periods.values())
