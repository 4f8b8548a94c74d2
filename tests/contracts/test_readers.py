"""Every golden example goes through the pure function of every reader of its topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import schemas
from agents.account.policy import decide as decide_account
from agents.account.rules import AccountRules, Facts
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.event_table import EventTableReader
from agents.analytics.session import fold
from agents.analytics.summary_rows import SummaryReader
from agents.bitrate.observation import observe_event
from agents.catalog.policy import decide as decide_catalog
from agents.catalog.soundness import CatalogLimits
from agents.license.decisions import Asking, Knowledge
from agents.license.decisions import decide as decide_license
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from agents.recommendation.tastes import Tastes
from agents.steering.outcomes import CdnOrigin, outcome_of
from schemas import codec
from schemas.accounts import AccountRequest, Credentials
from schemas.catalog import CatalogRequest
from schemas.events import PlaybackEvent
from schemas.licenses import LicenseDecision
from schemas.sessions import Lease, LicenseAgentRequest, ListDevices
from schemas.tokens import opaque_token
from schemas.watching import Watch
from streams.topics import TOPICS
from tests.unit.analytics.tables import a_chunk

EXAMPLES = Path(schemas.__file__).parent / "examples"
NOW_MS = 1_795_364_460_000
CREDENTIALS = Credentials(
    email="ada@playhead.example",
    password="correct horse",
    refresh_token=opaque_token("5a4d2c1e-8b7f-8f3e-9a0b-1c2d3e4f5a6b", bytes(32)),
    reset_token=opaque_token("5a4d2c1e-8b7f-8f3e-9a0b-1c2d3e4f5a6b", bytes(32)),
)
CDNS = (CdnOrigin(name="alpha", url="http://127.0.0.1:8081"),)


class Raw(NamedTuple):
    """A record as the log gives it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def raw_of(value: bytes) -> Raw:
    return Raw(0, 7, NOW_MS, b"0199a1f0-6c00-7a3b-8c1d-2e3f40516273", value)


def store_event(topic: str, value: bytes) -> None:
    table = EventTableReader().read(a_chunk(value, topic=topic))
    for _, error in table.unreadable:
        raise error
    assert table.rows().offsets == [7]


def fold_event(_: str, value: bytes) -> None:
    event = codec.Decoder[PlaybackEvent](PlaybackEvent).decode(value)
    summary = fold([event, event])
    assert summary is None or summary.event_count == 1


def observe(_: str, value: bytes) -> None:
    event = codec.Decoder[PlaybackEvent](PlaybackEvent).decode(value)
    observe_event(event, None, NOW_MS)


def judge_cdn(_: str, value: bytes) -> None:
    event = codec.Decoder[PlaybackEvent](PlaybackEvent).decode(value)
    outcome_of(event, CDNS, NOW_MS, None)


def learn(_: str, value: bytes) -> None:
    watch = codec.Decoder[Watch](Watch).decode(value)
    tastes = Tastes()
    assert tastes.take(watch, 0, 7)
    assert not tastes.take(watch, 0, 7)


def store_summary(_: str, value: bytes) -> None:
    SummaryReader().read(raw_of(value))


def store_decision(topic: str, value: bytes) -> None:
    known = next(t for t in TOPICS if t.name == topic)
    row = DecisionReader(known, state_key=None).read(raw_of(value))
    assert row.columns["payload"]


def carry_out(_: str, value: bytes) -> None:
    command = codec.Decoder[AccountRequest](AccountRequest).decode(value)
    facts = Facts(
        now_ms=NOW_MS,
        request_id="r",
        randomness=bytes(64),
        rules=AccountRules(plans=frozenset(POLICY.plans)),
        credentials=CREDENTIALS,
        password_hash="a hash",
    )
    assert decide_account(None, command, facts).answer is not None


def decide_request(_: str, value: bytes) -> None:
    request = codec.Decoder[LicenseAgentRequest](LicenseAgentRequest).decode(value)
    if isinstance(request, ListDevices):
        return
    knowledge = Knowledge(policy=POLICY, account=None, titles={})
    asking = Asking(now_ms=NOW_MS, decision_id="d", request_id="r", offset=7)
    decision = decide_license(Ledger(lease_ms=POLICY.lease_ms), request, knowledge, asking)
    assert decision.key_ids_granted == ()


def rebuild(_: str, value: bytes) -> None:
    Ledger(lease_ms=POLICY.lease_ms).apply(
        codec.Decoder[LicenseDecision](LicenseDecision).decode(value)
    )


def renew(_: str, value: bytes) -> None:
    Ledger(lease_ms=POLICY.lease_ms).renew(codec.Decoder[Lease](Lease).decode(value), NOW_MS)


def change_catalog(_: str, value: bytes) -> None:
    request = codec.Decoder[CatalogRequest](CatalogRequest).decode(value)
    decide_catalog(request, None, CatalogLimits(), NOW_MS)


Reader = Callable[[str, bytes], None]
READERS: dict[str, tuple[Reader, ...]] = {
    "playback.events.v1": (store_event, fold_event, observe, judge_cdn),
    "playback.bandwidth.v1": (store_event, fold_event, observe, judge_cdn),
    "session.summaries.v1": (store_summary,),
    "watches.v1": (learn,),
    "account.requests.v1": (carry_out,),
    "license.requests.v1": (decide_request,),
    "license.decisions.v1": (rebuild,),
    "session.leases.v1": (renew,),
    "catalog.requests.v1": (change_catalog,),
}


def pairs() -> Iterator[Any]:
    recorded = {topic.name for topic in TOPICS if topic.is_recorded}
    for path in sorted(EXAMPLES.rglob("*.json")):
        topic = path.parent.name
        readers = READERS.get(topic, ())
        for reader in (*readers, store_decision) if topic in recorded else readers:
            yield pytest.param(reader, path, id=f"{reader.__name__}-{topic}-{path.stem}")


@pytest.mark.parametrize(("reader", "path"), list(pairs()))
def test_a_reader_takes_the_example(reader: Reader, path: Path) -> None:
    reader(path.parent.name, path.read_bytes())
