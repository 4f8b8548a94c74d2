"""Music by formula: a pad of four chords and a plucked figure over it, for ffmpeg's aevalsrc."""

from __future__ import annotations

import msgspec

CHORD_S = 4
SYNTH_RATE_HZ = 22_050
# Semitones above the root, three voices for each of the four chords of a loop.
MAJOR = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
MINOR = ((0, 3, 7), (8, 12, 15), (3, 7, 10), (10, 14, 17))


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One audio track of a demo title; the ratios are loudness beside the other voice."""

    language: str
    label: str
    root_hz: float
    beat_s: float
    minor: bool = False
    pad_ratio: float = 1.0
    pluck_ratio: float = 1.0


def music_chain(score: Score, duration_s: int) -> str:
    """A filter chain without inputs that sounds for so long, in mono; made once and looped."""
    chords = MINOR if score.minor else MAJOR
    expression = f"{_pad(score, chords)}+{_pluck(score, chords)}"
    loop_s = CHORD_S * len(chords)
    return (
        f"aevalsrc='{expression}':s={SYNTH_RATE_HZ}:d={loop_s},"
        f"aloop=loop=-1:size={loop_s * SYNTH_RATE_HZ},atrim=duration={duration_s},"
        f"afade=t=in:d=1,afade=t=out:st={duration_s - 2}:d=2,"
        "aecho=0.8:0.7:90|210:0.3|0.2,aresample=48000"
    )


def _pad(score: Score, chords: tuple[tuple[int, ...], ...]) -> str:
    # The envelope is zero where the chord changes, so that the jump in phase is not heard.
    envelope = f"sqrt(sin(PI*mod(t,{CHORD_S})/{CHORD_S}))"
    voices = (
        f"sin(2*PI*t*{_hertz(score, chords, voice, octave=0)})" for voice in range(len(chords[0]))
    )
    return f"{0.07 * score.pad_ratio:.3f}*{envelope}*({'+'.join(voices)})"


def _pluck(score: Score, chords: tuple[tuple[int, ...], ...]) -> str:
    beat = f"mod(t,{score.beat_s})"
    envelope = f"(1-exp(-400*{beat}))*exp(-{2.2 / score.beat_s:.2f}*{beat})"
    step = f"mod(floor(t/{score.beat_s})*2,3)"
    choices = (
        f"eq({step},{voice})*{_hertz(score, chords, voice, octave=1)}"
        for voice in range(len(chords[0]))
    )
    return f"{0.12 * score.pluck_ratio:.3f}*{envelope}*sin(2*PI*t*({'+'.join(choices)}))"


def _hertz(score: Score, chords: tuple[tuple[int, ...], ...], voice: int, *, octave: int) -> str:
    """The frequency of one voice as an expression of t."""
    chord = f"mod(floor(t/{CHORD_S}),{len(chords)})"
    choices = (
        f"{score.root_hz * 2 ** (notes[voice] / 12 + octave):.2f}*eq({chord},{number})"
        for number, notes in enumerate(chords)
    )
    return f"({'+'.join(choices)})"
