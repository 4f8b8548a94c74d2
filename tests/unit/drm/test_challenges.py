from __future__ import annotations

import base64
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.drm.challenges import CERTIFICATE_REQUEST, Challenge, read_challenge
from schemas.sessions import DRMSystem
from tests.unit.drm.messages import (
    field,
    playready,
    pssh_box,
    pssh_data,
    widevine,
    widevine_of,
    widevine_renewal,
)

A, B, C = "a" * 32, "b" * 32, "0123456789abcdef" * 2
KEY_IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
SILENT = Challenge()


@given(st.lists(KEY_IDS, min_size=1, max_size=8))
def test_the_key_ids_of_both_systems_are_read(key_ids: list[str]) -> None:
    wanted = Challenge(key_ids=tuple(sorted(set(key_ids))))
    assert read_challenge("widevine", widevine(*key_ids)) == wanted
    assert read_challenge("playready", playready(*key_ids)) == wanted
    assert read_challenge("playready", playready(*key_ids, header="4.0.0.0")) == wanted


def test_key_ids_of_init_data_are_read() -> None:
    boxes = pssh_box(pssh_data([A])) + pssh_box(pssh_data([B]), [C])
    assert read_challenge("widevine", widevine_of(field(4, field(2, boxes)))).key_ids == (C, A, B)


def test_every_key_id_counts_that_stands_anywhere() -> None:
    """Whichever of two the service reads, both were judged."""
    twice = field(1, field(1, pssh_data([A]))) + field(1, field(1, pssh_data([B])))
    assert read_challenge("widevine", widevine_of(twice)).key_ids == (A, B)
    both = widevine(A) + widevine(B)
    assert read_challenge("widevine", both).key_ids == (A, B)
    beside = b"<KID>%b</KID><DATA>" % base64.b64encode(UUID(B).bytes_le)
    assert read_challenge("playready", playready(A).replace(b"<DATA>", beside)).key_ids == (A, B)


@pytest.mark.parametrize(
    "message",
    [
        widevine_renewal(),
        widevine_of(field(2, field(1, b"webm key id"))),
        widevine_of(field(1, field(1, pssh_data([A])) + field(1, b""))),
        widevine_of(field(1, field(1, field(2, b"short")))),
        widevine_of(field(4, field(2, pssh_box(b"", [A], b"another system's")))),
        widevine_of(field(4, field(2, pssh_box(pssh_data([A]))[:-1]))),
        widevine_of(b""),
        widevine(A)[:-4],
        widevine(*(f"{n:032x}" for n in range(65))),
    ],
)
def test_a_message_of_widevine_that_names_not_all_of_its_keys_names_none(message: bytes) -> None:
    assert read_challenge("widevine", message) == SILENT


@pytest.mark.parametrize(
    "message",
    [
        playready(),
        playready(A)[:-3],
        playready(A).replace(b'VALUE="', b'VALUE="!'),
        b'<!DOCTYPE a [<!ENTITY k "AA">]>' + playready(A).partition(b"?>")[2],
        b"<PlayReadyKeyMessage/>",
    ],
)
def test_a_message_of_playready_that_cannot_be_read_names_no_key(message: bytes) -> None:
    assert read_challenge("playready", message) == SILENT


def test_fairplay_never_says() -> None:
    assert read_challenge("fairplay", widevine(A)) == SILENT


def test_a_request_for_the_services_certificate_is_known() -> None:
    asked = read_challenge("widevine", CERTIFICATE_REQUEST)
    assert asked == Challenge(is_for_certificate=True)
    assert not read_challenge("widevine", CERTIFICATE_REQUEST + b"\x12\x00").is_for_certificate
    assert not read_challenge("playready", CERTIFICATE_REQUEST).is_for_certificate


@given(st.sampled_from(get_args(DRMSystem)), st.binary(max_size=300))
@example("widevine", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
@example("widevine", field(2, field(2, field(4, field(2, b"\x00\x00\x00\x00pssh")))))
@example("playready", "<KID>é</KID>".encode("utf-16"))
def test_any_bytes_are_survived(system: DRMSystem, message: bytes) -> None:
    challenge = read_challenge(system, message)
    assert all(len(key_id) == 32 for key_id in challenge.key_ids)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_survived(place: int, byte: int) -> None:
    for system, message in (("widevine", widevine(A, B)), ("playready", playready(A, B))):
        place %= len(message)
        changed = message[:place] + bytes([byte]) + message[place + 1 :]
        assert len(read_challenge(system, changed).key_ids) <= 2  # type: ignore[arg-type]  # both are systems
