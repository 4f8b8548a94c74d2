"""Documents that are generated are current, and the registry holds together."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from infra.wiring.workers import WORKERS
from infra.workers import WORKER_NAMES
from streams.asyncapi import asyncapi_document
from streams.topics import TOPICS

ROOT = Path(__file__).parents[2]

OUTSIDE = {"gateway", "packager", "operator", "agents"}
"""Writers and readers that are no workers."""


def test_the_asyncapi_document_is_current() -> None:
    written = json.loads((ROOT / "docs/asyncapi.json").read_text())
    current = json.loads(json.dumps(asyncapi_document(version("playhead"))))
    assert written == current, "run: playhead topics asyncapi --out docs/asyncapi.json"


def test_every_writer_and_reader_is_a_component() -> None:
    components = set(WORKER_NAMES) | OUTSIDE
    for topic in TOPICS:
        assert topic.writer in components, topic.name
        assert set(topic.readers) <= components, topic.name


def test_topic_names_are_unique_and_versioned() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert all(name.rpartition(".v")[2].isdigit() for name in names)


def test_every_named_worker_is_wired() -> None:
    assert set(WORKERS) == set(WORKER_NAMES)
