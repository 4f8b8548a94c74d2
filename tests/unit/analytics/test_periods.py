"""Periods: as many partitions as a table has, so long they gather."""

from __future__ import annotations

from agents.analytics.chunks import ChunkLimits
from agents.analytics.intakes import stored_topics, table_of
from agents.analytics.periods import INSERTS_PER_S_MAX, PERIOD_MS_MAX, Period, plan_periods


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


def test_every_stored_topic_has_a_period() -> None:
    topics = stored_topics()
    tables = {name: table_of(name) for name in topics}
    shortest_ms = ChunkLimits().bucket_ms
    periods = plan_periods(topics, tables, bucket_ms_min=shortest_ms)
    assert periods.keys() == topics.keys()
    assert all(shortest_ms <= each.bucket_ms <= PERIOD_MS_MAX for each in periods.values())
