"""The ladder never upscales and keeps the picture's shape."""

from hypothesis import given
from hypothesis import strategies as st

from infra.content.ladder import DEFAULT_LADDER, fit_ladder

SIDES = st.integers(min_value=16, max_value=8000)


def names(width: int, height: int) -> list[str]:
    return [rung.rendition_id for rung in fit_ladder(DEFAULT_LADDER, width=width, height=height)]


@given(SIDES, SIDES)
def test_no_rendition_is_larger_than_the_source(width: int, height: int) -> None:
    for rung in fit_ladder(DEFAULT_LADDER, width=width, height=height):
        # One pixel of rounding to even sizes is no upscaling.
        assert rung.width <= width + 1
        assert rung.height <= height + 1


@given(SIDES, SIDES)
def test_every_side_is_even_as_the_encoder_demands(width: int, height: int) -> None:
    for rung in fit_ladder(DEFAULT_LADDER, width=width, height=height):
        assert rung.width % 2 == 0
        assert rung.height % 2 == 0


@given(st.integers(min_value=240, max_value=8000), st.integers(min_value=240, max_value=8000))
def test_the_shape_of_the_picture_is_kept(width: int, height: int) -> None:
    for rung in fit_ladder(DEFAULT_LADDER, width=width, height=height):
        assert abs(rung.width / width - rung.height / height) <= 2 / min(width, height)


def test_a_full_hd_source_gets_the_whole_ladder_lowest_first() -> None:
    assert names(1920, 1080) == ["v240", "v360", "v480", "v720", "v1080"]


def test_a_portrait_picture_is_measured_by_its_shorter_side() -> None:
    rungs = fit_ladder(DEFAULT_LADDER, width=720, height=1280)
    assert [rung.rendition_id for rung in rungs] == ["v240", "v360", "v480", "v720"]
    assert (rungs[-1].width, rungs[-1].height) == (720, 1280)


def test_a_tiny_picture_keeps_its_own_size_in_the_sd_tier() -> None:
    (rung,) = fit_ladder(DEFAULT_LADDER, width=176, height=144)
    assert (rung.rendition_id, rung.width, rung.height) == ("v144", 176, 144)
    assert rung.tier == "sd"


def test_hd_begins_above_480_lines_so_that_it_has_a_key_of_its_own() -> None:
    tiers = {r.height: r.tier for r in fit_ladder(DEFAULT_LADDER, width=1920, height=1080)}
    assert tiers == {240: "sd", 360: "sd", 480: "sd", 720: "hd", 1080: "hd"}
