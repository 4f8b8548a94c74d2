"""The private names that the consumer stands on: an upgrade must not move them unseen."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from faust.app.base import App
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.consumer import Fetcher as FetcherService
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport


def test_both_are_the_versions_that_were_read() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (
            Consumer,
            (
                "perform_seek force_commit wait_empty ack on_buffer_drop on_buffer_full"
                " _wait_next_records _drain_messages _get_active_partitions _clean_unacked_messages"
            ),
        ),
        (ThreadDelegateConsumer, "_new_consumer_thread _commit assignment highwater"),
        (AIOKafkaConsumerThread, "_ensure_consumer seek_to_beginning seek_to_committed"),
        (FetcherService, "_fetcher"),
        (Transport, "Consumer"),
        (App, "transport consumer_generation_id in_recovery"),
        (Conductor, "acks_enabled_for"),
        (
            Collection,
            (
                "persisted_offset apply_changelog_batch on_rebalance on_recovery_completed"
                " need_active_standby_for reset_state on_start"
            ),
        ),
        (Recovery, "_slurp_changelogs need_recovery"),
        (PartitionRecords, "_consumer_record"),
    ],
)
def test_classes_have_the_methods_that_are_replaced_or_called(owner: Any, names: str) -> None:
    missing = [name for name in names.split() if not hasattr(owner, name)]
    assert [name for name in missing if name not in _instance_names(owner)] == []


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (
            Consumer,
            (
                "_read_offset _committed_offset _unacked_messages _buffered_partitions"
                " _waiting_for_ack flow_active suspend_flow"
            ),
        ),
        (Conductor, "_tp_to_callback _acking_topics"),
        (TableManager, "_changelogs"),
        (Recovery, "active_tps active_offsets"),
        (Fetcher, "_records _fetch_max_wait_ms"),
        (FetchResult, "_partition_records"),
    ],
)
def test_instances_have_the_attributes_that_are_used(owner: Any, names: str) -> None:
    assert [name for name in names.split() if name not in _instance_names(owner)] == []


def test_records_are_made_by_a_method_that_an_instance_may_replace() -> None:
    assert "self._consumer_record(tp, record)" in inspect.getsource(PartitionRecords)
    assert not hasattr(PartitionRecords, "__slots__")


def test_fetched_results_are_kept_by_assignment_to_the_mapping() -> None:
    source = inspect.getsource(Fetcher)
    assert "self._records[tp] = FetchResult(" in source
    assert source.count("self._records = ") == 1


def _instance_names(owner: Any) -> set[str]:
    names: set[str] = set()
    for base in owner.__mro__:
        names |= set(vars(base)) | set(vars(base).get("__annotations__", {}))
        init = vars(base).get("__init__")
        if hasattr(init, "__code__"):
            names |= set(init.__code__.co_names)
    return names
