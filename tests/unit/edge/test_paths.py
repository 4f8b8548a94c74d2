"""Nothing outside a title's folder can be named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.edge.paths import content_type, object_path


def test_a_segment_is_found_below_its_content_id() -> None:
    assert object_path("ember", "r1/v240/1.m4s") == "ember/r1/v240/1.m4s"


@pytest.mark.parametrize(
    ("content_id", "path"),
    [
        ("..", "keys/master.mp4"),
        ("ember", "../other/1.m4s"),
        ("ember", "r1/../../keys.mp4"),
        ("ember", "r1/.hidden.mp4"),
        ("ember", "/etc/passwd.mp4"),
        ("ember", "r1//1.m4s"),
        ("ember", "r1\\..\\x.mp4"),
        ("ember", "r1/%2e%2e/x.mp4"),
        ("ember", "r1/x\x00.mp4"),
        ("ember", "made.json"),
        ("ember", "m4s"),
        ("ember", "1.m4s/"),
        ("Ember", "1.m4s"),
        ("ember", "a" * 600 + ".m4s"),
        ("ember", "a/" * 20 + "1.m4s"),
        ("ember", "1.m4s\n"),
    ],
)
def test_what_is_not_on_the_list_is_not_found(content_id: str, path: str) -> None:
    assert object_path(content_id, path) is None


@given(st.text(max_size=40), st.text(max_size=80))
def test_no_allowed_path_climbs_or_starts_at_the_root(content_id: str, path: str) -> None:
    found = object_path(content_id, path)
    if found is not None:
        assert not found.startswith("/")
        assert all(part and not part.startswith(".") for part in found.split("/"))


def test_only_media_has_a_content_type() -> None:
    assert content_type("a/t0.vtt") == "text/vtt; charset=utf-8"
    assert content_type("a/made.json") is None
