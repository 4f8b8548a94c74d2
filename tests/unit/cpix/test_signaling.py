"""Golden signals of one key id, taken apart field by field where a format is binary."""

from __future__ import annotations

import base64
import struct
from uuid import UUID

import pytest

from gateway.cpix.document import Element
from gateway.cpix.signaling import Scheme, read_system, signal
from gateway.problems import ProblemError
from tests.unit.cpix.packager import CLEAR_KEY, COMMON, FAIRPLAY, PLAYREADY, WIDEVINE

KEY = UUID("00112233-4455-6677-8899-aabbccddeeff")
KID = "MyIRAFVEd2aImaq7zN3u/w=="
"""KEY as PlayReady writes it: 33221100-5544-7766-… of a GUID's little-endian fields."""
LISTING = "0000003470737368 01000000 {system} 00000001 00112233445566778899aabbccddeeff 00000000"


def told(system: str, name: str, scheme: Scheme = "cenc", **attributes: str) -> bytes:
    element = Element(f"cpix:{name}", attributes)
    return base64.b64decode(signal(element, read_system(system), KEY.hex, scheme), validate=True)


@pytest.mark.parametrize("system", [COMMON, CLEAR_KEY])
def test_the_common_box_lists_the_key(system: str) -> None:
    box = told(system, "PSSH")
    assert box == bytes.fromhex(LISTING.format(system=UUID(system).hex))
    pssh = base64.b64encode(box).decode()
    assert told(system, "ContentProtectionData").decode() == (
        f'<pssh xmlns="urn:mpeg:cenc:2013">{pssh}</pssh>'
    )


def test_widevine_says_key_and_scheme() -> None:
    box = told(WIDEVINE, "PSSH", "cbcs")
    # 12 10 <key id>, 48 and "cbcs" (0x63626373) as a varint
    data = "1210 00112233445566778899aabbccddeeff 48 f3c6899b06"
    head = "0000003870737368 00000000 edef8ba979d64acea3c827dcd51d21ed 00000018"
    assert box == bytes.fromhex(f"{head} {data}")
    pssh = base64.b64encode(box).decode()
    assert told(WIDEVINE, "HLSSignalingData", "cbcs", playlist="master").decode() == (
        f'#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,{pssh}",'
        'KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",KEYFORMATVERSIONS="1",'
        "KEYID=0x00112233445566778899aabbccddeeff"
    )
    media = told(WIDEVINE, "HLSSignalingData")
    assert media.startswith(b"#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,")
    assert media == told(WIDEVINE, "HLSSignalingData", playlist="media")


@pytest.mark.parametrize(
    ("scheme", "version", "protection"),
    [
        (
            "cenc",
            "4.0.0.0",
            "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{kid}</KID>",
        ),
        (
            "cbcs",
            "4.3.0.0",
            '<PROTECTINFO><KIDS><KID ALGID="AESCBC" VALUE="{kid}"></KID></KIDS></PROTECTINFO>',
        ),
    ],
)
def test_playready_says_key_and_mode(scheme: Scheme, version: str, protection: str) -> None:
    box = told(PLAYREADY, "PSSH", scheme)
    length, name, flags, system, data_length = struct.unpack(">I4sI16sI", box[:32])
    assert (length, name, flags) == (len(box), b"pssh", 0)
    assert (UUID(bytes=system), data_length) == (UUID(PLAYREADY), len(box) - 32)
    playready_object = box[32:]
    record = playready_object[10:]
    assert struct.unpack("<IHHH", playready_object[:10]) == (
        len(playready_object),
        1,
        1,
        len(record),
    )
    assert record.decode("utf-16-le") == (
        '<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"'
        f' version="{version}"><DATA>{protection.format(kid=KID)}</DATA></WRMHEADER>'
    )
    assert told(PLAYREADY, "SmoothStreamingProtectionHeaderData", scheme) == playready_object
    text = base64.b64encode(playready_object).decode()
    dash = told(PLAYREADY, "ContentProtectionData", scheme).decode()
    assert dash.endswith(f'<pro xmlns="urn:microsoft:playready">{text}</pro>')
    assert (
        f'URI="data:text/plain;charset=UTF-16;base64,{text}"'
        in told(PLAYREADY, "HLSSignalingData", scheme).decode()
    )


def test_fairplay_names_the_key_in_its_uri() -> None:
    assert told(FAIRPLAY, "URIExtXKey", "cbcs") == b"skd://00112233-4455-6677-8899-aabbccddeeff"
    assert told(FAIRPLAY, "HLSSignalingData", "cbcs").decode() == (
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://00112233-4455-6677-8899-aabbccddeeff",'
        'KEYFORMAT="com.apple.streamingkeydelivery",KEYFORMATVERSIONS="1"'
    )


@pytest.mark.parametrize(
    ("system", "name", "scheme"),
    [
        (FAIRPLAY, "HLSSignalingData", "cenc"),
        (FAIRPLAY, "ContentProtectionData", "cbcs"),
        (COMMON, "HLSSignalingData", "cenc"),
        (WIDEVINE, "HLSSignalingData", "cens"),
        (WIDEVINE, "SmoothStreamingProtectionHeaderData", "cenc"),
    ],
)
def test_what_cannot_be_made_of_a_key_id_is_refused(system: str, name: str, scheme: Scheme) -> None:
    with pytest.raises(ProblemError, match="signaling"):
        told(system, name, scheme)


def test_a_playlist_that_is_none_and_an_unknown_system_are_refused() -> None:
    with pytest.raises(ProblemError, match="signaling"):
        told(WIDEVINE, "HLSSignalingData", playlist="multivariant")
    for system in ("81376844-f976-481e-a84e-cc25d39b0b33", "widevine", ""):
        with pytest.raises(ProblemError, match="system") as raised:
            told(system, "PSSH")
        assert WIDEVINE in raised.value.problem.detail
