from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from msgspec.structs import replace

from agents.license.key_delivery import PackagerTrust
from agents.license.keys import KeyIdTakenError
from schemas import codec
from schemas.envelope import Refused
from schemas.errors import InvalidMessageError
from schemas.licenses import ContentKeys, RequestContentKeys, RotateKeyEncryptionKey
from schemas.packaging import (
    AskedKey,
    EncryptedContentKeys,
    RequestPackagerKeys,
    TrackFilter,
)
from streams.producer import UnavailableError
from streams.topics import CONTENT_KEYS, KEY_DELIVERIES
from tests.unit.cpix.packager import a_packager
from tests.unit.license.desk import DeskOfKeys
from tests.unit.license.key_service import lose

PACKAGER = a_packager()
AUDIO = AskedKey(key_id="a" * 32, track_type="AUDIO", filters=(TrackFilter(kind="audio"),))
SD = AskedKey(key_id="b" * 32, track_type="SD", filters=(TrackFilter(kind="video"),))
ASKED = RequestPackagerKeys(
    content_id="tears", keys=(AUDIO, SD), certificates=(PACKAGER.certificate,), sender="encoder"
)


@pytest.fixture
def desk() -> DeskOfKeys:
    return DeskOfKeys(PackagerTrust([PACKAGER.x509]))


def test_keys_are_made_under_the_ids_that_were_asked_for(desk: DeskOfKeys) -> None:
    answer = desk.ask(ASKED)
    assert isinstance(answer, EncryptedContentKeys)
    assert [key.key_id for key in answer.keys] == ["a" * 32, "b" * 32]
    assert [key.tier for key in desk.publisher.values(CONTENT_KEYS)] == ["audio", "sd"]
    assert desk.ring.places(("a" * 32, "b" * 32)) == {
        "a" * 32: ("tears", "audio"),
        "b" * 32: ("tears", "sd"),
    }


def test_who_got_keys_is_in_the_log_and_no_key_with_it(desk: DeskOfKeys) -> None:
    desk.ask(ASKED)
    desk.ask(RequestContentKeys(content_id="tears", tiers=("sd",)), role="packager")
    outside, inside = desk.publisher.values(KEY_DELIVERIES)
    assert outside.content_id == "tears"
    assert dict(zip(outside.tiers, outside.key_ids, strict=True)) == {
        "audio": "a" * 32,
        "sd": "b" * 32,
    }
    assert (outside.asker_role, outside.sender) == ("gateway", "encoder")
    assert outside.certificates == (sha256(PACKAGER.certificate).hexdigest(),)
    assert (inside.asker_role, inside.tiers, inside.certificates) == ("packager", ("sd",), ())
    told = codec.encode(outside) + codec.encode(inside)
    for key in desk.ring.for_packager("tears", ("audio", "sd")):
        assert key.key.hex().encode() not in told
        assert b64encode(key.key).rstrip(b"=") not in told


def test_no_key_leaves_that_is_not_recorded(desk: DeskOfKeys) -> None:
    desk.ask(ASKED)  # its keys are there: nothing else is written by the next one
    desk.publisher.away = UnavailableError("not_stored", "the log is away")
    with pytest.raises(UnavailableError):
        desk.ask(ASKED)
    assert desk.desk.answers == []


def test_a_tier_keeps_its_first_key_whatever_it_is_called_later(desk: DeskOfKeys) -> None:
    first = desk.ask(RequestContentKeys(content_id="tears", tiers=("sd",)), role="packager")
    assert isinstance(first, ContentKeys)
    answer = desk.ask(ASKED)
    assert [key.key_id for key in answer.keys] == ["a" * 32, first.keys[0].key_id]
    assert desk.ask(ASKED).keys[1].key_id == first.keys[0].key_id
    assert len(desk.publisher.values(CONTENT_KEYS)) == 2


def test_an_id_of_another_key_is_refused_and_nothing_is_made(desk: DeskOfKeys) -> None:
    """A key published under another's id would replace it: its media were lost."""
    desk.ask(ASKED)
    before = desk.ring.for_packager("tears", ("audio", "sd"))
    for request in (
        replace(ASKED, content_id="other"),
        replace(ASKED, keys=(replace(SD, track_type="HD", key_id="b" * 32),)),
    ):
        answer = desk.ask(request)
        assert (answer.status, answer.reason) == (409, "key-id")
    assert len(desk.publisher.values(CONTENT_KEYS)) == 2
    assert desk.ring.for_packager("tears", ("audio", "sd")) == before


def test_two_new_keys_never_get_one_id(desk: DeskOfKeys) -> None:
    with pytest.raises(KeyIdTakenError):
        desk.ring.make_missing(
            "tears",
            ("audio", "sd"),
            now_ms=1,
            randomness=bytes,
            key_ids={"audio": "c" * 32, "sd": "c" * 32},
        )
    assert len(desk.ring) == 0


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(ASKED, certificates=()), "certificate"),
        (replace(ASKED, certificates=(a_packager("stranger").certificate,)), "certificate"),
        (replace(ASKED, certificates=(b"no certificate",)), "certificate"),
        (replace(ASKED, keys=(AUDIO, replace(SD, track_type="VIDEO"))), "shared-key"),
        (replace(ASKED, keys=(SD, replace(SD, key_id="c" * 32))), "tier-twice"),
    ],
)
def test_what_is_refused_makes_no_key(
    desk: DeskOfKeys, request_: RequestPackagerKeys, reason: str
) -> None:
    answer = desk.ask(request_)
    assert isinstance(answer, Refused)
    assert (answer.status, answer.reason) == (422, reason)
    assert answer.detail
    assert desk.publisher.values(CONTENT_KEYS) == []
    assert len(desk.ring) == 0


def test_keys_in_clear_are_given_only_where_that_is_allowed() -> None:
    desk = DeskOfKeys(PackagerTrust(allows_plain=True))
    answer = desk.ask(replace(ASKED, certificates=()))
    assert answer == ContentKeys(
        content_id="tears", keys=desk.ring.for_packager("tears", ("audio", "sd"))
    )


def test_a_gateway_gets_nothing_that_it_could_read(desk: DeskOfKeys) -> None:
    with pytest.raises(InvalidMessageError, match="forged"):
        desk.ask(RequestContentKeys(content_id="tears", tiers=("sd",)), role="gateway")
    with pytest.raises(InvalidMessageError, match="forged"):
        desk.ask(ASKED, role="account")


def test_a_request_under_another_key_is_refused(desk: DeskOfKeys) -> None:
    with pytest.raises(InvalidMessageError, match="another content"):
        desk.ask(ASKED, key="other")


def test_without_the_key_service_nothing_is_given(desk: DeskOfKeys) -> None:
    lose(desk.keks)
    answer = desk.ask(ASKED)
    assert (answer.status, answer.reason, answer.detail) == (503, "key-service", "")


def test_a_rotation_is_the_operators_alone(desk: DeskOfKeys) -> None:
    asked = RotateKeyEncryptionKey(from_kek_id="")
    for role in ("packager", "gateway"):
        with pytest.raises(InvalidMessageError, match="forged"):
            desk.ask(asked, role=role)
    with pytest.raises(InvalidMessageError, match="forged"):
        desk.ask(ASKED, role="operator")
    answer = desk.ask(asked, role="operator")
    assert (answer.version, answer.left) == (1, 0)
    lose(desk.keks, "the token is out: put it in")
    answer = desk.ask(asked, role="operator")
    assert answer.reason == "key-service"
    assert "put it in" in answer.detail
