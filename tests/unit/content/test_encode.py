"""ffmpeg's arguments, without ffmpeg."""

from fractions import Fraction
from pathlib import Path

from infra.content.encode import Encoding, encode_args, filter_graph
from infra.content.ladder import DEFAULT_LADDER, fit_ladder
from infra.content.source import AudioInput, Source

SOURCE = Source(
    input_args=("-i", "film.mov", "-i", "music.wav"),
    graph="[0:V:0]null[picture]",
    width=640,
    height=360,
    frame_rate=Fraction(24000, 1001),
    duration_ms=9500,
    audio=(AudioInput(selector="1:a:0", language="en", label="English", channels=1),),
)
RUNGS = fit_ladder(DEFAULT_LADDER, width=640, height=360)


def value_after(args: tuple[str, ...], flag: str) -> list[str]:
    return [args[i + 1] for i, arg in enumerate(args) if arg == flag]


def test_key_frames_are_forced_every_two_seconds_in_every_rendition() -> None:
    args = encode_args(SOURCE, Encoding(rungs=RUNGS))
    assert value_after(args, "-force_key_frames") == ["expr:gte(t,n_forced*2)"] * 2
    assert value_after(args, "-g") == ["48", "48"]
    assert value_after(args, "-sc_threshold") == ["0", "0"]


def test_every_rendition_and_audio_track_has_its_own_output() -> None:
    args = encode_args(SOURCE, Encoding(rungs=RUNGS))
    assert [arg for arg in args if arg.endswith(".mp4")] == ["v240.mp4", "v360.mp4", "a0.mp4"]
    assert value_after(args, "-map") == ["[v240]", "[v360]", "1:a:0"]


def test_tracks_end_with_the_picture() -> None:
    args = encode_args(SOURCE, Encoding(rungs=RUNGS))
    assert value_after(args, "-t") == ["9500ms"] * 3


def test_a_badge_is_laid_over_its_rendition_alone() -> None:
    encoding = Encoding(rungs=RUNGS, badges={"v360": Path("/b.webp")})
    graph = filter_graph(SOURCE, encoding).split(";")
    assert "[split0]scale=426:240:flags=bicubic,setsar=1[v240]" in graph
    assert graph[-1].startswith("[scaled1][2:v]overlay=")
    assert graph[-1].endswith("[v360]")
