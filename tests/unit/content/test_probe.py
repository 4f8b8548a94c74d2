"""From ffprobe's answer to a source."""

from fractions import Fraction
from pathlib import Path

import pytest

from infra.content.errors import MediaError
from infra.content.probe import _Format, _Probe, _Side, _Stream, source_of
from infra.content.source import Source


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a film, with commas.mkv"
    path.write_bytes(b"x")
    return path


def probe(*streams: _Stream, duration: str = "10.5") -> _Probe:
    return _Probe(streams=list(streams), format=_Format(duration=duration))


def picture(**changes: object) -> _Stream:
    stream = _Stream(codec_type="video", width=1920, height=1080, avg_frame_rate="25/1")
    for name, value in changes.items():
        setattr(stream, name, value)
    return stream


def read(file: Path, *streams: _Stream, duration: str = "10.5") -> Source:
    return source_of(file, probe(*streams, duration=duration), ())


def test_size_rate_and_length_are_taken_from_the_picture(file: Path) -> None:
    source = read(file, picture(avg_frame_rate="30000/1001"))
    assert (source.width, source.height, source.duration_ms) == (1920, 1080, 10_500)
    assert source.frame_rate == Fraction(30000, 1001)


def test_a_turned_picture_has_its_sides_swapped(file: Path) -> None:
    source = read(file, picture(side_data_list=[_Side(rotation=-90)]))
    assert (source.width, source.height) == (1080, 1920)


def test_wide_pixels_widen_the_picture(file: Path) -> None:
    source = read(file, picture(width=720, height=576, sample_aspect_ratio="64:45"))
    assert (source.width, source.height) == (1024, 576)


@pytest.mark.parametrize(
    ("told", "rate"),
    [("0/0", 25), ("120/1", 60), ("1234567/50000", 25), ("24/1", 24)],
)
def test_odd_frame_rates_become_ones_that_segments_can_hold(
    file: Path, told: str, rate: int
) -> None:
    assert read(file, picture(avg_frame_rate=told, r_frame_rate=told)).frame_rate == rate


def test_exactly_one_audio_track_is_the_default(file: Path) -> None:
    english = _Stream(codec_type="audio", channels=6, tags={"language": "eng", "title": "Main"})
    german = _Stream(codec_type="audio", channels=1, tags={"language": "ger"})
    source = read(file, picture(), english, german)
    assert [t.is_default for t in source.audio] == [True, False]
    assert [t.label for t in source.audio] == ["Main", "ger"]
    assert [t.channels for t in source.audio] == [2, 1]


def test_text_streams_are_taken_and_pictures_of_text_are_not(file: Path) -> None:
    text = _Stream(codec_type="subtitle", codec_name="subrip")
    image = _Stream(codec_type="subtitle", codec_name="hdmv_pgs_subtitle")
    source = read(file, picture(), image, text)
    assert [subtitle.selector for subtitle in source.subtitles] == ["0:s:1"]


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([_Stream(codec_type="audio", channels=2)], "holds no video"),
        ([picture(disposition={"attached_pic": 1})], "holds no video"),
        ([picture(width=0)], "the picture is 0x1080"),
    ],
)
def test_a_file_without_a_picture_is_refused(
    file: Path, streams: list[_Stream], message: str
) -> None:
    with pytest.raises(MediaError, match=message):
        read(file, *streams)


@pytest.mark.parametrize("duration", ["N/A", "0", "-1", "999999999"])
def test_a_file_of_no_or_endless_length_is_refused(file: Path, duration: str) -> None:
    with pytest.raises(MediaError, match="length"):
        read(file, picture(), duration=duration)
