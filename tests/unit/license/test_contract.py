from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.license.contract import NAMED, PIXELS, ContractError, tiers_of
from schemas.packaging import AskedKey, TrackFilter

AUDIO = TrackFilter(kind="audio")
VIDEO = TrackFilter(kind="video")


def pixels(low: int | None = None, high: int | None = None) -> TrackFilter:
    return TrackFilter(kind="video", min_pixels=low, max_pixels=high)


def a_key(track_type: str, *filters: TrackFilter, number: int = 1) -> AskedKey:
    return AskedKey(key_id=f"{number:032x}", track_type=track_type, filters=filters)


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        (a_key("AUDIO", AUDIO), "audio"),
        (a_key("STEREO_AUDIO", AUDIO), "audio"),
        (a_key("commentary", AUDIO), "audio"),
        (a_key("SD", VIDEO), "sd"),
        (a_key("SD", pixels(high=589_824)), "sd"),
        (a_key("HD", pixels(589_825)), "hd"),  # of a ladder without UHD: presets leave it open
        (a_key("HD", pixels(589_825, 2_073_600)), "hd"),
        (a_key("HD1+HD2", pixels(589_825, 921_600), pixels(921_601)), "hd"),
        (a_key("UHD", pixels(2_073_601)), "uhd"),
        (a_key("UHD2", pixels(8_847_361)), "uhd"),
        (a_key("HFR+UHD", pixels(2_073_601), pixels(4_000_000)), "uhd"),
        (a_key("VIDEO", pixels(high=400_000)), "sd"),
        (a_key("lowres", pixels(100, 200)), "sd"),
    ],
)
def test_a_key_is_of_the_tier_of_its_tracks(asked: AskedKey, tier: str) -> None:
    assert tiers_of((asked,)) == (tier,)


@pytest.mark.parametrize(
    "asked",
    [
        a_key("VIDEO", VIDEO),
        a_key("ALL", VIDEO, AUDIO),
        a_key("SD+HD1", pixels(high=921_600)),
        a_key("SD", pixels(high=921_600)),
        a_key("HD", pixels(589_824)),
        a_key("UHD", pixels(0)),
        a_key("SD", AUDIO),
        a_key("AUDIO", VIDEO),
        a_key("lowres", pixels(100)),
        a_key("HFR+UHD", pixels(2_073_601), VIDEO),
    ],
)
def test_a_key_for_several_tiers_is_refused(asked: AskedKey) -> None:
    with pytest.raises(ContractError, match="shared-key") as raised:
        tiers_of((asked,))
    assert raised.value.refused.status == 422
    assert asked.track_type in raised.value.refused.detail


def test_a_tier_has_one_key() -> None:
    stereo, surround = a_key("STEREO_AUDIO", AUDIO), a_key("MULTICHANNEL_AUDIO", AUDIO, number=2)
    with pytest.raises(ContractError, match="tier-twice"):
        tiers_of((stereo, surround))


def test_two_tiers_have_two_keys() -> None:
    with pytest.raises(ContractError, match="key-twice"):
        tiers_of((a_key("AUDIO", AUDIO), a_key("SD", VIDEO)))


def test_a_filter_that_nothing_passes_is_refused() -> None:
    with pytest.raises(ContractError, match="empty-filter"):
        tiers_of((a_key("SD", pixels(10, 9)),))


some_pixels = st.none() | st.integers(0, (1 << 32) - 1) | st.sampled_from([589_824, 589_825])
filters = st.builds(
    TrackFilter,
    kind=st.sampled_from(["audio", "video"]),
    min_pixels=some_pixels,
    max_pixels=some_pixels,
)
track_types = st.lists(st.sampled_from([*NAMED, "VIDEO", "ALL", "x"]), min_size=1, max_size=3)


@given(track_types.map("+".join), st.lists(filters, min_size=1, max_size=4))
def test_no_track_outside_its_tier_is_ever_under_a_key(
    track_type: str, asked: list[TrackFilter]
) -> None:
    try:
        (tier,) = tiers_of((a_key(track_type, *asked),))
    except ContractError:
        return
    if tier == "audio":
        assert all(each.kind == "audio" for each in asked)
        return
    first, last = PIXELS[tier]
    for each in asked:
        assert each.kind == "video"
        assert each.min_pixels is None or first <= each.min_pixels <= last
        assert each.max_pixels is None or first <= each.max_pixels <= last
