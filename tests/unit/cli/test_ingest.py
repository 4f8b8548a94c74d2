"""What content add makes of names and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.simulate import is_loopback
from infra.content.errors import MediaError
from infra.operations.ingest import content_id_of, sidecar


@pytest.mark.parametrize(
    ("name", "content_id"),
    [
        ("The Tide", "the-tide"),
        ("Fête & Hände!", "fete-hande"),
        ("--x--", "x"),
        ("a" * 99, "a" * 64),
    ],
)
def test_a_name_gives_a_content_id(name: str, content_id: str) -> None:
    assert content_id_of(name) == content_id


def test_a_name_without_letters_gives_none() -> None:
    with pytest.raises(MediaError, match="--content-id"):
        content_id_of("映画")


def test_a_sidecar_may_tell_its_language() -> None:
    there = {Path("film.srt"), Path("odd:name.srt")}
    assert sidecar("film.srt", there.__contains__) == (Path("film.srt"), "und")
    assert sidecar("film.srt:pt-BR", there.__contains__) == (Path("film.srt"), "pt-BR")
    assert sidecar("odd:name.srt", there.__contains__) == (Path("odd:name.srt"), "und")
    with pytest.raises(MediaError, match="no file"):
        sidecar("other.srt:de", there.__contains__)


@pytest.mark.parametrize(
    ("root", "is_here"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:8080", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example.com", False),
        ("http://127.0.0.1@evil.example", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(root: str, is_here: bool) -> None:
    assert is_loopback(root) is is_here
