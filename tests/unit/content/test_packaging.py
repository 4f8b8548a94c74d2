"""Which keys a title needs, and what stops it."""

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from infra.content.demo import DEMO_VERSION, LADDER, Made, is_current, job_of, web_vtt
from infra.content.demo_titles import DEMO_TITLES, NORTHERN_DRIFT
from infra.content.encode import Encoding
from infra.content.errors import MediaError
from infra.content.ladder import fit_ladder
from infra.content.packaging import PackagingJob, check_keys, streams_of, tiers_of
from infra.content.source import AudioInput, Source
from infra.content.storage import Storage
from schemas.catalog import Rendition, Segments, StorageLocation, Tier, Title
from schemas.licenses import TierKey

SEGMENTS = Segments(
    init="r/v240/init.mp4", media="r/v240/$Number$.m4s", timescale=1, durations=(2,)
)


def job(width: int, height: int, *, has_audio: bool) -> PackagingJob:
    sound = AudioInput(selector="0:a:0", language="en", label="English")
    source = Source(
        input_args=("-i", "x"),
        graph="[0:v]null[picture]",
        width=width,
        height=height,
        frame_rate=Fraction(25),
        duration_ms=1000,
        audio=(sound,) if has_audio else (),
    )
    rungs = fit_ladder(LADDER, width=width, height=height)
    draft = Title(content_id="x", title="X", duration_ms=0)
    return PackagingJob(draft=draft, revision="r", source=source, encoding=Encoding(rungs=rungs))


def key(tier: Tier, number: int) -> TierKey:
    return TierKey(tier=tier, key_id=f"{number:032x}", key=bytes(16))


def test_each_tier_that_occurs_needs_one_key() -> None:
    assert tiers_of(job(1280, 720, has_audio=True)) == ("audio", "sd", "hd")
    assert tiers_of(job(640, 360, has_audio=False)) == ("sd",)


def test_hd_and_sd_renditions_are_encrypted_under_different_labels() -> None:
    tiers = {s.track_id: s.tier for s in streams_of(job(1280, 720, has_audio=True))}
    assert tiers == {"v240": "sd", "v360": "sd", "v480": "sd", "v720": "hd", "a0": "audio"}


def test_a_missing_key_stops_the_title_rather_than_leaving_it_clear() -> None:
    with pytest.raises(MediaError, match="no key was given for hd"):
        check_keys((key("sd", 1),), ("sd", "hd"))


def test_one_key_for_two_tiers_is_refused() -> None:
    with pytest.raises(MediaError, match="two tiers"):
        check_keys((key("sd", 1), key("hd", 1)), ("sd", "hd"))


def made(storage_url: str, key_id: str) -> Made:
    rendition = Rendition(
        rendition_id="v240",
        width=426,
        height=240,
        frame_rate=24,
        codecs="avc1.42c015",
        bitrate_kbps=300,
        average_bitrate_kbps=250,
        tier="sd",
        key_id=key_id,
        segments=SEGMENTS,
    )
    location = StorageLocation(url=f"{storage_url}/x")
    title = Title(
        content_id="x", title="X", duration_ms=2000, storage=(location,), video=(rendition,)
    )
    return Made(demo_version=DEMO_VERSION, title=title)


def test_a_made_title_is_current_while_its_keys_are_held(tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path}")
    record = made(storage.url, key("sd", 1).key_id)
    assert is_current(record, (key("sd", 1), key("audio", 2)), storage)
    assert not is_current(record, (key("sd", 3),), storage)


def test_a_made_title_of_another_version_or_place_is_made_anew(tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path}")
    record = made(storage.url, key("sd", 1).key_id)
    older = msgspec.structs.replace(record, demo_version="demo-0")
    assert not is_current(older, (key("sd", 1),), storage)
    moved = Storage(f"file://{tmp_path}/elsewhere")
    assert not is_current(record, (key("sd", 1),), moved)


def test_subtitles_are_spread_in_order_within_the_title() -> None:
    for cues in NORTHERN_DRIFT.cues:
        text = web_vtt(cues, NORTHERN_DRIFT.duration_s)
        starts = [line.split(" --> ")[0] for line in text.splitlines() if "-->" in line]
        assert starts == sorted(starts)
        assert len(starts) == len(cues.lines)
        assert starts[-1] < f"00:{NORTHERN_DRIFT.duration_s // 60:02}:60"


def test_the_demo_shows_what_a_catalog_must_show(tmp_path: Path) -> None:
    drafts = [job_of(demo, tmp_path, "r").draft for demo in DEMO_TITLES]
    assert len({draft.content_id for draft in drafts}) == 6
    assert any(draft.maturity >= 18 for draft in drafts)
    assert any(len(demo.scores) == 2 and len(demo.cues) == 2 for demo in DEMO_TITLES)
    assert all(draft.genres and draft.year and draft.description for draft in drafts)
