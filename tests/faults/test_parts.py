"""Amendments of the component table, outcomes of posts, and which faults count."""

from __future__ import annotations

import random

import msgspec
import pytest

from gateway.problems import RefusedItem
from gateway.reading import read_items
from infra.faults.amendments import Amendment, amend, kafka_listeners
from infra.faults.crowd import outcome_of
from infra.faults.payloads import make_event, make_invalid
from infra.faults.schedule import Fault, Kind
from infra.faults.strikes import Struck
from infra.supervisor.component import Component

SESSION = "01a205ac-e3af-7307-a7e1-981e73d9a77f"
GATEWAY = Component(name="gateway", argv=("python", "-m", "infra.cli", "gateway"), env={"A": "1"})
KAFKA = Component(
    name="kafka",
    argv=(
        *("java", "kafka.Kafka"),
        *("--override", "listeners=PLAINTEXT://h:1,CONTROLLER://h:2"),
        *("--override", "advertised.listeners=PLAINTEXT://h:1"),
    ),
    env={},
)


def test_a_launcher_takes_the_place_of_the_command_line() -> None:
    change = Amendment(component="gateway", env={"B": "2"}, launcher=("-m", "broken", "so"))
    (gateway,) = amend([GATEWAY], [change])
    assert gateway.argv == ("python", "-m", "broken", "so", "gateway")
    assert gateway.env == {"A": "1", "B": "2"}


def test_listeners_are_added_to_those_of_the_table() -> None:
    listeners = kafka_listeners({"BY_SINK": (7, 8)})
    (kafka,) = amend([KAFKA], [Amendment(component="kafka", listeners=listeners)])
    assert "listeners=PLAINTEXT://h:1,CONTROLLER://h:2,BY_SINK://127.0.0.1:7" in kafka.argv
    maps = [word for word in kafka.argv if word.startswith("listener.security.protocol.map=")]
    assert maps[-1].endswith("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BY_SINK:PLAINTEXT")


def test_an_unknown_component_is_a_fault_of_the_harness() -> None:
    with pytest.raises(KeyError):
        amend([GATEWAY], [Amendment(component="moon")])


@pytest.mark.parametrize(
    ("status", "content", "outcome"),
    [
        (202, b'{"accepted": 25}', ("acked", 25)),
        (207, b'{"accepted": 24, "refused": [{"index": 3, "status": 400}]}', ("acked", 24)),
        (0, b"", ("unknown", 0)),
        (503, b"{}", ("unavailable", 0)),
        (429, b"{}", ("unavailable", 0)),
        (500, b"", ("unavailable", 0)),
        (401, b"{}", ("rejected", 0)),
        (400, b"{}", ("rejected", 0)),
    ],
)
def test_an_answer_is_an_outcome(status: int, content: bytes, outcome: tuple[str, int]) -> None:
    assert outcome_of(status, content) == outcome


def test_the_gateway_reads_valid_events_and_refuses_the_others() -> None:
    chance = random.Random(1)
    valid = [make_event(SESSION, n, 1_790_000_000_000, chance).line for n in range(12)]
    items = read_items(b"\n".join(valid), "ndjson", items_max=500, item_bytes_max=1 << 16)
    assert not any(isinstance(item, RefusedItem) for item in items)
    invalid = [make_invalid(SESSION, n, 1_790_000_000_000, chance).line for n in range(4)]
    items = read_items(b"\n".join(invalid), "ndjson", items_max=500, item_bytes_max=1 << 16)
    read = [item for item in items if not isinstance(item, RefusedItem)]
    assert [item.session_id == SESSION for item in read] == [False]  # the voucher refuses it


@pytest.mark.parametrize(
    ("kind", "in_flight", "touched", "counts"),
    [
        ("kill", 3, 1, True),
        ("kill", 0, 1, False),
        ("lose", 3, 2, True),
        ("lose", 3, 0, False),
        ("rebalance", 9, 0, False),
    ],
)
def test_a_fault_counts_only_where_it_could_break_something(
    kind: Kind, in_flight: int, touched: int, counts: bool
) -> None:
    fault = Fault(place="gateway", kind=kind, after_s=1, seed=1)
    struck = Struck(fault=fault, at_s=1, in_flight=in_flight, evidence="posts", touched=touched)
    assert struck.counts is counts
    assert msgspec.json.decode(msgspec.json.encode(struck), type=Struck) == struck
