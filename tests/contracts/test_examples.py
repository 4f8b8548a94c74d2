"""Every golden example is still read, and nothing it says is lost on the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import schemas
from schemas import codec
from schemas.accounts import AccountRequest
from schemas.catalog import CatalogRequest
from schemas.packaging import KeyRequest
from schemas.recommendations import RecommendationRequest
from schemas.sessions import LicenseAgentRequest
from streams.topics import BY_NAME, TOPICS

EXAMPLES = Path(schemas.__file__).parent / "examples"
FILES = sorted(EXAMPLES.rglob("*.json"))

BODIES: dict[str, Any] = {
    "account.requests.v1": AccountRequest,
    "license.requests.v1": LicenseAgentRequest,
    "catalog.requests.v1": CatalogRequest,
    "key.requests.v1": KeyRequest,
    "recommendation.requests.v1": RecommendationRequest,
}


def decoder_of(path: Path) -> codec.Decoder[Any]:
    topic = path.parent.name
    return codec.Decoder(BODIES.get(topic, BY_NAME[topic].value))


def keeps(golden: Any, encoded: Any) -> bool:
    """Whether every field of the golden value is in the encoded one, unchanged."""
    if isinstance(golden, dict):
        return all(
            name in encoded and keeps(value, encoded[name]) for name, value in golden.items()
        )
    if isinstance(golden, list):
        return len(golden) == len(encoded) and all(map(keeps, golden, encoded))
    return bool(golden == encoded)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_an_example_is_read_and_written_again(path: Path) -> None:
    decoder = decoder_of(path)
    message = decoder.decode(path.read_bytes())
    encoded = codec.encode(message)
    assert decoder.decode(encoded) == message
    assert keeps(msgspec.json.decode(path.read_bytes()), msgspec.json.decode(encoded))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_field_of_a_newer_writer_is_no_error(path: Path) -> None:
    newer = msgspec.json.decode(path.read_bytes()) | {"from_the_future": {"a": [1]}}
    decoder_of(path).decode(msgspec.json.encode(newer))


def test_every_topic_has_an_example() -> None:
    without = {
        topic.name
        for topic in TOPICS
        if topic.value is not bytes and not (EXAMPLES / topic.name).is_dir()
    }
    assert without == set()
