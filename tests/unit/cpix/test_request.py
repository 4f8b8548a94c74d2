from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cpix.request import read_request
from gateway.problems import ProblemError
from schemas.packaging import TrackFilter
from tests.unit.cpix.packager import (
    COMMON,
    FAIRPLAY,
    SIGNALS,
    TRACKS,
    WIDEVINE,
    a_packager,
    a_request,
    key_id,
)

GOOD = a_request(certificates=(a_packager().certificate,))
Change = Callable[[str], str]


def replacing(old: str, new: str, count: int = 1) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return change


def test_a_request_says_content_keys_tracks_and_certificates() -> None:
    packager = a_packager()
    request = read_request(GOOD)
    assert request.content_id == "tears"
    assert request.scheme == "cenc"
    assert request.certificates == (packager.certificate,)
    assert [(key.track_type, key.key_id) for key in request.keys] == [
        ("AUDIO", key_id(1).hex),
        ("SD", key_id(2).hex),
        ("HD", key_id(3).hex),
    ]
    assert [key.filters for key in request.keys] == [
        (TrackFilter(kind="audio"),),
        (TrackFilter(kind="video", max_pixels=589_824),),
        (TrackFilter(kind="video", min_pixels=589_825),),
    ]


def test_keys_come_in_the_order_of_their_list_whatever_that_of_the_rules() -> None:
    text = a_request({"AUDIO": TRACKS["AUDIO"], "SD": TRACKS["SD"]}).decode()
    start, rule, rest = text.partition("<cpix:ContentKeyUsageRule ")
    first, _, rest = rest.partition("</cpix:ContentKeyUsageRule>")
    second, closing, end = rest.partition("</cpix:ContentKeyUsageRule>")
    keys = read_request((start + second + closing + rule + first + closing + end).encode()).keys
    assert [(key.key_id, key.track_type) for key in keys] == [
        (key_id(1).hex, "AUDIO"),
        (key_id(2).hex, "SD"),
    ]


def test_upper_case_key_ids_are_the_same_keys() -> None:
    upper = str(key_id(1)).upper()
    request = read_request(GOOD.replace(str(key_id(1)).encode(), upper.encode(), 1))
    assert request.keys[0].key_id == key_id(1).hex


def test_without_delivery_data_there_is_no_certificate() -> None:
    assert read_request(a_request()).certificates == ()


KID = f'kid="{key_id(1)}"'
CHANGES: list[tuple[str, Change]] = [
    ("cpix", replacing('="urn:dashif:org:cpix"', '="urn:dashif:org:cpix2"')),
    ("cpix-version", replacing(' version="2.3"', "")),
    ("cpix-version", replacing('version="2.3"', 'version="2.4"')),
    ("content-id", replacing(' contentId="tears"', "")),
    ("content-id", replacing('contentId="tears"', 'contentId="../tears"')),
    ("content-id", replacing('contentId="tears"', 'contentId="Tears"')),
    ("cpix", replacing("<cpix:ContentKeyList>", "<cpix:ContentKeyList/><cpix:ContentKeyList>")),
    ("key-id", replacing(f"<cpix:ContentKey {KID}", "<cpix:ContentKey")),
    ("key-id", replacing(KID, 'kid="1"')),
    ("key-id", replacing(f"<cpix:DRMSystem {KID}", f'<cpix:DRMSystem kid="{key_id(9)}"')),
    ("duplicate", replacing(f'kid="{key_id(2)}"', KID)),
    ("scheme", replacing(' commonEncryptionScheme="cenc"', "")),
    ("scheme", replacing('commonEncryptionScheme="cenc"', 'commonEncryptionScheme="cbcs"')),
    ("scheme", replacing('Scheme="cenc"', 'Scheme="rot13"', 3)),
    ("explicit-iv", replacing("<cpix:ContentKey ", '<cpix:ContentKey explicitIV="AAAA" ')),
    ("explicit-iv", replacing("<cpix:ContentKey ", '<cpix:ContentKey explicitIV="" ')),
    ("not-understood", replacing("<cpix:ContentKey ", '<cpix:ContentKey dependsOnKey="x" ')),
    ("not-understood", replacing("<cpix:ContentKey ", '<cpix:ContentKey xml:lang="en" ')),
    (
        "not-understood",
        replacing("</cpix:ContentKeyList>", "</cpix:ContentKeyList><cpix:ContentKeyPeriodList/>"),
    ),
    ("not-understood", replacing("<cpix:PSSH/>", "<cpix:HDSSignalingData/>")),
    ("not-understood", replacing("<cpix:PSSH/>", "<cpix:PSSH><cpix:PSSH/></cpix:PSSH>")),
    ("not-understood", replacing("<cpix:AudioFilter/>", '<cpix:LabelFilter label="x"/>')),
    ("not-understood", replacing("</cpix:CPIX>", "<ds:Signature/></cpix:CPIX>")),
    ("not-understood", replacing("<cpix:ContentKeyList>", "<cpix:ContentKeyList>text")),
    (
        "not-understood",
        replacing(
            'commonEncryptionScheme="cenc"/>',
            'commonEncryptionScheme="cenc"><cpix:Data/></cpix:ContentKey>',
        ),
    ),
    ("system", replacing(f'systemId="{WIDEVINE}"', 'systemId="widevine"')),
    ("system", replacing(f'systemId="{WIDEVINE}"', "")),
    ("signaling", replacing(WIDEVINE, FAIRPLAY, 3)),
    ("signaling", replacing(WIDEVINE, COMMON)),
    ("signaling", replacing('playlist="media"', 'playlist="both"')),
    ("duplicate", replacing('playlist="media"', 'playlist="master"')),
    ("duplicate", replacing("<cpix:PSSH/>", "<cpix:PSSH/><cpix:PSSH/>")),
    ("usage-rule", replacing(' intendedTrackType="AUDIO"', "")),
    ("usage-rule", replacing('intendedTrackType="AUDIO"', 'intendedTrackType="A B"')),
    ("duplicate", replacing('intendedTrackType="AUDIO"', 'intendedTrackType="SD"')),
    ("usage-rule", replacing("<cpix:AudioFilter/>", "")),
    ("usage-rule", replacing('maxPixels="589824"', 'maxPixels="-1"')),
    ("usage-rule", replacing('maxPixels="589824"', 'maxPixels="4294967296"')),
    ("usage-rule", replacing('maxPixels="589824"', 'maxPixels="٣"')),
    ("certificate", replacing("<ds:X509Certificate>", "<ds:X509Certificate>!")),
    ("certificate", replacing("<ds:X509Data>", "<ds:X509Data><ds:X509Certificate/>")),
    ("not-understood", replacing("<cpix:DeliveryKey>", "<cpix:DocumentKey/><cpix:DeliveryKey>")),
]


@pytest.mark.parametrize(("reason", "change"), CHANGES)
def test_what_cannot_be_answered_is_refused_with_its_reason(reason: str, change: Change) -> None:
    with pytest.raises(ProblemError) as raised:
        read_request(change(GOOD.decode()).encode())
    problem = raised.value.problem
    assert (problem.status, problem.reason) == (422, reason)
    assert problem.detail


@pytest.mark.parametrize(
    "name",
    ["ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList"],
)
def test_each_list_of_speke_must_be_there_and_hold_something(name: str) -> None:
    text = GOOD.decode()
    start, _, rest = text.partition(f"<cpix:{name}>")
    _, _, end = rest.partition(f"</cpix:{name}>")
    for left in (start + end, f"{start}<cpix:{name}/>{end}"):
        with pytest.raises(ProblemError, match="must be one cpix:"):
            read_request(left.encode())


def test_a_key_has_one_rule() -> None:
    text = GOOD.decode()
    start, rule, rest = text.rpartition("<cpix:ContentKeyUsageRule ")
    without = start + rest.partition("</cpix:ContentKeyUsageRule>")[2]
    with_two = (
        start
        + rule
        + rest.replace("</cpix:ContentKeyUsageRuleList>", "").replace("</cpix:CPIX>", "")
        + rule
        + rest.replace('intendedTrackType="HD"', 'intendedTrackType="HD2"')
    )
    for changed in (without, with_two):
        with pytest.raises(ProblemError, match="usage-rule"):
            read_request(changed.encode())


def test_bounds_on_keys_and_certificates_hold() -> None:
    many = {f"track-{number}": "<cpix:AudioFilter/>" for number in range(9)}
    with pytest.raises(ProblemError, match="at most 8 keys"):
        read_request(a_request(many))
    certificates = tuple(bytes([number]) * 20 for number in range(9))
    with pytest.raises(ProblemError, match="at most 8"):
        read_request(a_request(certificates=certificates))
    with pytest.raises(ProblemError, match="certificate"):
        read_request(a_request(certificates=(b"x" * 8_193,)))
    with pytest.raises(ProblemError, match="duplicate"):
        read_request(a_request(certificates=(b"x", b"x")))


@given(data=st.data())
def test_a_document_that_was_tampered_with_is_read_or_refused(data: st.DataObject) -> None:
    """Cut, doubled and swapped pieces of a good document: never anything but a problem."""
    pieces = a_request(signals=SIGNALS).decode().replace("><", ">\n<").split("\n")
    chosen = (
        data.draw(st.lists(st.sampled_from(pieces), max_size=12))
        if data.draw(st.booleans())
        else data.draw(st.permutations(pieces))
    )
    at = data.draw(st.integers(0, len(pieces)))
    for text in ("".join(pieces[:at] + list(chosen) + pieces[at:]), "".join(chosen)):
        with suppress(ProblemError):
            assert read_request(text.encode()).keys
