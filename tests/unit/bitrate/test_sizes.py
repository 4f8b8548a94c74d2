from __future__ import annotations

import msgspec

from agents.bitrate.ladder import build_ladder
from agents.bitrate.sizes import SegmentSizes, segment_sizes
from tests.builders import a_session, a_title

TITLE = a_title()
LADDER = build_ladder(TITLE, a_session())
assert LADDER is not None
SOUND_BYTES = 128 * 4000 / 8


def test_sizes_are_the_catalogs_with_the_sound() -> None:
    assert LADDER is not None
    sizes = segment_sizes(TITLE, LADDER)
    assert sizes.shape == (15, 4)
    for column, rendition in enumerate(TITLE.video):
        known = rendition.segments.sizes_bytes
        assert [*sizes[:, column] - SOUND_BYTES] == [*known]


def test_what_the_catalog_does_not_know_is_the_mean() -> None:
    assert LADDER is not None
    first = TITLE.video[0]
    bare = msgspec.structs.replace(
        first, segments=msgspec.structs.replace(first.segments, sizes_bytes=())
    )
    sizes = segment_sizes(a_title(video=(bare, *TITLE.video[1:])), LADDER)
    assert set(sizes[:, 0]) == {first.average_bitrate_kbps * 4000 / 8 + SOUND_BYTES}


def test_few_titles_are_kept_and_a_new_version_is_read_anew() -> None:
    assert LADDER is not None
    sizes = SegmentSizes(titles_max=2)
    kept = sizes.of(TITLE, LADDER)
    assert sizes.of(TITLE, LADDER) is kept
    assert sizes.of(a_title(version=2), LADDER) is not kept
    for number in range(10):
        sizes.of(a_title(f"title-{number}"), LADDER)
    assert len(sizes) == 2
