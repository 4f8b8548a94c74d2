from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from agents.license.key_delivery import PackagerTrust, encrypt_keys
from gateway.cpix.answer import write_answer
from gateway.cpix.request import CpixRequest, read_request
from schemas.catalog import Tier
from schemas.licenses import ContentKeys, TierKey
from schemas.packaging import EncryptedContentKeys
from tests.gateway_fakes import NOW_MS
from tests.unit.cpix.packager import NAMES, OutsidePackager, a_packager, a_request, plain_keys

GOLDEN = Path(__file__).parent / "golden"
TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")


def golden(name: str, packager: OutsidePackager) -> bytes:
    certificate = base64.b64encode(packager.certificate)
    return (GOLDEN / f"{name}.xml").read_bytes().replace(b"CERTIFICATE", certificate)


def some_keys(request: CpixRequest) -> ContentKeys:
    """A key for each asked one, under its id."""
    return ContentKeys(
        content_id=request.content_id,
        keys=tuple(
            TierKey(tier=tier, key_id=asked.key_id, key=secrets.token_bytes(16))
            for tier, asked in zip(TIERS, request.keys, strict=False)
        ),
    )


def encrypted_for(keys: ContentKeys, *packagers: OutsidePackager) -> EncryptedContentKeys:
    trust = PackagerTrust(each.x509 for each in packagers)
    certificates = tuple(each.certificate for each in packagers)
    return encrypt_keys(keys, trust.recipients(certificates, NOW_MS), secrets.token_bytes)


def canonical(document: bytes) -> str:
    text: str = etree.canonicalize(document.decode().partition("?>")[2], strip_text=True)
    return text


def test_an_encrypted_answer_is_the_golden_one_but_for_its_ciphertexts() -> None:
    packager = a_packager()
    request = read_request(golden("encrypted.request", packager))
    answer = write_answer(request, encrypted_for(some_keys(request), packager))
    blank = re.sub(rb"(CipherValue|ValueMAC)>[A-Za-z0-9+/=]+<", "\\1>…<".encode(), answer)
    assert canonical(blank) == canonical(golden("encrypted.answer", packager))


def test_an_answer_in_clear_is_the_golden_one_with_the_key_that_the_tier_has() -> None:
    request = read_request(golden("plain.request", a_packager()))
    kept = TierKey(tier="sd", key_id="44444444444444448444444444444444", key=b"key of 16 bytes!")
    answer = write_answer(request, ContentKeys(content_id="tears", keys=(kept,)))
    assert canonical(answer) == canonical(golden("plain.answer", a_packager()))


def test_every_recipient_opens_the_answer_and_nobody_else() -> None:
    first, second, stranger = a_packager(), a_packager("second"), a_packager("stranger")
    request = read_request(a_request(certificates=(second.certificate, first.certificate)))
    keys = some_keys(request)
    answer = write_answer(request, encrypted_for(keys, second, first))
    expected = [key.key for key in keys.keys]
    assert list(first.open(answer).values()) == expected
    assert list(second.open(answer).values()) == expected
    for key in keys.keys:
        assert base64.b64encode(key.key) not in answer
    thief = OutsidePackager(stranger.key, first.x509)
    with pytest.raises(ValueError, match=r"[Dd]ecryption|[Ee]ncryption"):
        thief.open(answer)


def test_a_tampered_answer_is_noticed_by_its_macs() -> None:
    packager = a_packager()
    request = read_request(a_request(certificates=(packager.certificate,)))
    answer = write_answer(request, encrypted_for(some_keys(request), packager))
    root = etree.fromstring(answer)
    for value in root.iterfind("c:ContentKeyList//e:CipherValue", NAMES):
        good = value.text
        assert good is not None
        flipped = bytearray(base64.b64decode(good))
        flipped[-1] ^= 1
        value.text = base64.b64encode(flipped).decode()
        with pytest.raises(InvalidSignature):
            packager.open(etree.tostring(root))
        value.text = good
    packager.open(etree.tostring(root))


def test_keys_for_other_certificates_or_in_clear_are_never_written() -> None:
    first, second = a_packager(), a_packager("second")
    request = read_request(a_request(certificates=(first.certificate,)))
    keys = some_keys(request)
    for wrong in (keys, encrypted_for(keys, second), encrypted_for(keys, first, second)):
        with pytest.raises(AssertionError):
            write_answer(request, wrong)
    with pytest.raises(AssertionError):
        write_answer(read_request(a_request()), encrypted_for(keys, first))


texts = st.text(
    st.characters(min_codepoint=32, exclude_characters="<&\"'", codec="utf-8"), max_size=9
)


@settings(max_examples=30)
@given(name=texts, ids=st.permutations(range(1, 4)))
def test_what_a_packager_says_comes_back_as_it_was(name: str, ids: list[int]) -> None:
    document = a_request().decode().replace('version="2.3"', f'version="2.3" name="{name}"', 1)
    request = read_request(document.encode())
    keys = some_keys(request)
    # As for a content whose tiers have had keys under these ids before, swapped ones among them.
    kept = ContentKeys(
        content_id="tears",
        keys=tuple(
            TierKey(tier=key.tier, key_id=request.keys[number - 1].key_id, key=key.key)
            for number, key in zip(ids, keys.keys, strict=True)
        ),
    )
    answer = write_answer(request, kept)
    assert {kid.hex: key for kid, key in plain_keys(answer).items()} == {
        key.key_id: key.key for key in kept.keys
    }
    back = read_request(re.sub(rb"<cpix:Data>.*?</cpix:Data>", b"", answer))
    assert back.root.attributes["name"] == request.root.attributes["name"]
    assert [key.track_type for key in back.keys] == [key.track_type for key in request.keys]
    assert [key.filters for key in back.keys] == [key.filters for key in request.keys]
    assert [key.key_id for key in back.keys] == [key.key_id for key in kept.keys]
