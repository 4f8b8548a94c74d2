"""What the packager is told, and what it is never told as an argument."""

from hypothesis import given
from hypothesis import strategies as st

from infra.content.encryption import Stream, descriptor, packager_flags
from schemas.licenses import TierKey

KEY_BYTES = st.binary(min_size=16, max_size=16)


def key_of(tier: str, key_id: bytes, key: bytes) -> TierKey:
    return TierKey(tier=tier, key_id=key_id.hex(), key=key)  # type: ignore[arg-type]  # any tier


@given(KEY_BYTES, KEY_BYTES)
def test_the_flags_carry_each_key_under_its_label_in_cenc(key_id: bytes, key: bytes) -> None:
    flags = packager_flags((key_of("sd", key_id, key), key_of("audio", b"\1" * 16, b"\2" * 16)))
    lines = flags.decode().splitlines()
    assert f"label=SD:key_id={key_id.hex()}:key={key.hex()}" in lines[1]
    assert "label=AUDIO:key_id=" in lines[1]
    assert "--protection_scheme=cenc" in lines
    assert "--clear_lead=0" in lines


def test_a_descriptor_names_tier_and_files_but_no_key() -> None:
    text = descriptor(Stream(track_id="a0", kind="audio", tier="audio", language="de"), "media")
    assert text == (
        "in=a0.mp4,stream=audio,init_segment=media/a0/init.mp4,"
        "segment_template=media/a0/$Number$.m4s,drm_label=AUDIO,language=de"
    )


def test_an_unknown_language_is_left_out() -> None:
    text = descriptor(Stream(track_id="a0", kind="audio", tier="audio", language="und"), "media")
    assert "language" not in text


def test_a_key_shows_as_stars() -> None:
    assert "02" not in repr(key_of("sd", b"\1" * 16, b"\2" * 16))
