from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.catalog.paths import path_problem
from agents.catalog.policy import decide
from agents.catalog.soundness import PROBLEMS_MAX, CatalogLimits, problems_of
from schemas.catalog import PutTitle, RemoveTitle, StorageLocation, Title, TitleStored
from schemas.envelope import Refused
from tests.builders import (
    HD_KEY,
    NOW_MS,
    SD_KEY,
    a_rendition,
    a_title,
    an_audio_track,
    some_segments,
)

LIMITS = CatalogLimits()


def put(title: Title, current: Title | None = None) -> Title | Refused:
    answer = decide(PutTitle(title=title), current, LIMITS, NOW_MS).answer
    if isinstance(answer, TitleStored):
        return answer.title
    assert isinstance(answer, Refused)
    return answer


def test_a_new_title_gets_version_and_time_of_its_owner() -> None:
    stored = put(a_title(version=99, added_at_ms=5))
    assert isinstance(stored, Title)
    assert (stored.version, stored.added_at_ms) == (1, NOW_MS)


def test_a_change_is_the_next_version_and_the_title_keeps_its_day() -> None:
    current = a_title(version=4, added_at_ms=17)
    stored = put(a_title(title="Other"), current)
    assert isinstance(stored, Title)
    assert (stored.version, stored.added_at_ms, stored.title) == (5, 17, "Other")


def test_the_same_title_again_is_no_change() -> None:
    current = a_title(version=4)
    decision = decide(PutTitle(title=a_title(version=0)), current, LIMITS, NOW_MS)
    assert not decision.is_change
    assert decision.answer == TitleStored(title=current)


def test_removal_needs_a_title() -> None:
    request = RemoveTitle(content_id="tears")
    assert decide(request, a_title(), LIMITS, NOW_MS).is_change
    refused = decide(request, None, LIMITS, NOW_MS).answer
    assert isinstance(refused, Refused)
    assert (refused.status, refused.reason) == (404, "unknown-content")


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("title", {"title": "  "}),
    ("duration_ms", {"duration_ms": 0}),
    ("poster", {"poster": "../../etc/passwd"}),
    ("regions", {"regions": ("de",)}),
    ("genres", {"genres": ("a", "a")}),
    ("available_until_ms", {"available_from_ms": 2, "available_until_ms": 2}),
    ("storage", {"storage": ()}),
    ("storage[0].url", {"storage": (StorageLocation(url="http://evil/x"),)}),
    ("storage[0].url", {"storage": (StorageLocation(url="s3://key:secret@bucket/x"),)}),
    ("storage[0].url", {"storage": (StorageLocation(url="file:///content/../../etc"),)}),
    ("video", {"video": ()}),
    ("video[1].bitrate_kbps", {"video": (a_rendition(480, 900), a_rendition(540, 300))}),
    ("video[1].height", {"video": (a_rendition(480, 900), a_rendition(240, 1300))}),
    ("video[0].tier", {"video": (a_rendition(480, 900, tier="audio"),)}),
    ("video[0].frame_rate", {"video": (a_rendition(480, 900, frame_rate=float("nan")),)}),
    (
        "video[0].average_bitrate_kbps",
        {"video": (a_rendition(480, 900, average_bitrate_kbps=901),)},
    ),
    ("key_id", {"video": (a_rendition(480, 900, key_id=None),)}),
    ("key_id", {"video": (a_rendition(480, 900), a_rendition(720, 1900, key_id=SD_KEY))}),
    ("key_id", {"video": (a_rendition(360, 600), a_rendition(480, 900, key_id="9" * 32))}),
    ("key_id", {"audio": (an_audio_track(key_id=HD_KEY),)}),
    ("v480", {"video": (a_rendition(480, 900), a_rendition(480, 900))}),
    ("audio", {"audio": (an_audio_track(), an_audio_track(track_id="b"))}),
    (
        "audio[0].segments.init",
        {
            "audio": (
                an_audio_track(
                    segments=msgspec.structs.replace(some_segments("a"), init="/etc/passwd")
                ),
            )
        },
    ),
]


@pytest.mark.parametrize(("field", "changes"), BROKEN)
def test_a_broken_title_is_refused_by_the_field_that_breaks_it(
    field: str, changes: dict[str, Any]
) -> None:
    refused = put(a_title(**changes))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.reason) == (422, "title")
    problems = refused.facts["problems"]
    assert isinstance(problems, list)
    assert any(problem.startswith(f"{field}:") for problem in problems), problems


@pytest.mark.parametrize(
    "changes",
    [
        {"durations": (4000,) * 3},
        {"durations": ()},
        {"durations": (60_000, 0)},
        {"timescale": 0},
        {"sizes_bytes": (1,)},
        {"media": "v480/segment.m4s"},
        {"media": "v480/$Time$.m4s"},
        {"media": "v480/$Number$-$Bandwidth$.m4s"},
        {"media": "../$Number$.m4s"},
    ],
)
def test_segments_that_no_player_could_use_are_refused(changes: dict[str, Any]) -> None:
    segments = msgspec.structs.replace(some_segments("v480"), **changes)
    refused = put(a_title(video=(a_rendition(480, 900, segments=segments),)))
    assert isinstance(refused, Refused)
    assert refused.status == 422


def test_renditions_whose_borders_differ_cannot_be_switched() -> None:
    shifted = msgspec.structs.replace(
        some_segments("v720"), durations=(2000, *((4000,) * 14), 2000)
    )
    title = a_title(video=(a_rendition(480, 900), a_rendition(720, 1900, segments=shifted)))
    problems = problems_of(title, LIMITS)
    assert problems == ("video[1].segments: borders differ from those of video[0]",)


def test_sound_titles_pass() -> None:
    assert problems_of(a_title(), LIMITS) == ()
    clear = a_title(
        video=(a_rendition(480, 900, key_id=None),), audio=(an_audio_track(key_id=None),)
    )
    assert problems_of(clear, LIMITS) == ()
    assert problems_of(a_title(listed=False, video=(), audio=(), storage=()), LIMITS) == ()
    assert problems_of(a_title(storage=(StorageLocation(url="s3://bucket/tears"),)), LIMITS) == ()


def test_problems_are_many_but_bounded() -> None:
    broken = a_rendition(480, 900, frame_rate=0.0, codecs="", width=0)
    assert len(problems_of(a_title(video=(broken,) * 30), LIMITS)) == PROBLEMS_MAX


@given(st.text())
def test_a_path_that_passes_stays_below_its_folder(path: str) -> None:
    if not path_problem(path):
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert "\\" not in path
        assert "://" not in path


@given(
    st.builds(
        a_title,
        duration_ms=st.integers(-5, 100_000_000),
        title=st.text(max_size=5),
        poster=st.text(max_size=10),
        regions=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    )
)
def test_any_title_is_stored_sound_or_refused(title: Title) -> None:
    answer = put(title)
    if isinstance(answer, Title):
        assert problems_of(answer, LIMITS) == ()
    else:
        assert answer.detail
