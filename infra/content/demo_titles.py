"""The demo catalog: what each title says, how it looks and sounds."""

from __future__ import annotations

import msgspec

from infra.content.demo_music import Score


class Cues(msgspec.Struct, frozen=True, kw_only=True):
    """Subtitles of one language, spread evenly over the title."""

    language: str
    label: str
    lines: tuple[str, ...]


class DemoTitle(msgspec.Struct, frozen=True, kw_only=True):
    """One title; `picture` is an ffmpeg filter chain of 24 frames per second.

    Most are drawn 12 times a second and doubled: half the work, as animated films are made.
    """

    content_id: str
    title: str
    tagline: str
    description: str
    genres: tuple[str, ...]
    year: int
    maturity: int
    language: str
    duration_s: int
    accent: str
    picture: str
    scores: tuple[Score, ...]
    cues: tuple[Cues, ...] = ()


NORTHERN_DRIFT = DemoTitle(
    content_id="northern-drift",
    title="Northern Drift",
    tagline="One night above the tree line",
    description="Green light wanders over a silent sky. A slow film to fall asleep to, "
    "with two scores and subtitles in two languages.",
    genres=("Nature", "Ambient"),
    year=2024,
    maturity=0,
    language="en",
    duration_s=60,
    accent="#5eead4",
    picture="perlin=s=128x72:r=12:octaves=4:persistence=0.55:xscale=2:yscale=5:tscale=0.25"
    ":random_seed=3,format=gray,eq=contrast=1.9:brightness=-0.12,format=yuv444p,"
    "pseudocolor=preset=viridis,gblur=sigma=1,noise=alls=6:allf=t,fps=24",
    scores=(
        Score(language="en", label="English (strings)", root_hz=110.0, beat_s=0.5),
        Score(
            language="de",
            label="Deutsch (Spieluhr)",
            root_hz=164.8,
            beat_s=0.25,
            pad_ratio=0.4,
            pluck_ratio=1.3,
        ),
    ),
    cues=(
        Cues(
            language="en",
            label="English",
            lines=(
                "It begins as a thread above the pines.",
                "By midnight the thread is a river.",
                "Nobody speaks. The snow does the listening.",
                "Green is oxygen, a hundred kilometers up.",
                "Violet is nitrogen, and patience.",
                "Somewhere a dog barks at the light.",
                "Then the river thins to a thread again.",
                "Good night.",
            ),
        ),
        Cues(
            language="de",
            label="Deutsch",
            lines=(
                "Es beginnt als Faden über den Kiefern.",
                "Um Mitternacht ist der Faden ein Fluss.",
                "Niemand spricht. Der Schnee hört zu.",
                "Grün ist Sauerstoff, hundert Kilometer hoch.",
                "Violett ist Stickstoff, und Geduld.",
                "Irgendwo bellt ein Hund das Licht an.",
                "Dann wird der Fluss wieder zum Faden.",
                "Gute Nacht.",
            ),
        ),
    ),
)

DEEP_ZOOM = DemoTitle(
    content_id="the-deep-zoom",
    title="The Deep Zoom",
    tagline="There is always more border",
    description="A minute of falling into the Mandelbrot set, whose coast has no end. "
    "Ten thousand times closer, and nothing is repeated.",
    genres=("Documentary", "Science"),
    year=2023,
    maturity=6,
    language="en",
    duration_s=60,
    accent="#fb7185",
    picture="mandelbrot=s=320x180:r=24:start_scale=1.2:end_scale=0.0001:end_pts=1440:maxiter=200"
    ":inner=mincol:outer=normalized_iteration_count,format=gray,format=yuv444p,"
    "pseudocolor=preset=magma,noise=alls=4:allf=t",
    scores=(Score(language="en", label="English", root_hz=98.0, beat_s=0.375, minor=True),),
    cues=(
        Cues(
            language="en",
            label="English",
            lines=(
                "Take a number. Square it. Add where you stand.",
                "Do it again. Does it stay, or does it run?",
                "Every color counts how long it stayed.",
                "The coast between them has no length.",
                "We have come a thousand times closer.",
                "The map is still all border.",
            ),
        ),
    ),
)

COLONY = DemoTitle(
    content_id="colony",
    title="Colony",
    tagline="Three rules. No survivors promised.",
    description="Cells are born, crowd and die by Conway's three rules. "
    "What they leave behind glows for a while.",
    genres=("Science Fiction", "Animation"),
    year=2025,
    maturity=12,
    language="en",
    duration_s=48,
    accent="#67e8f9",
    picture="life=s=128x72:r=12:mold=30:ratio=0.3:seed=11:death_color=0x7a1f5c"
    ":mold_color=0x060812:life_color=0x7df9ff,scale=480:270:flags=neighbor,"
    "gblur=sigma=1.6,format=yuv420p,noise=alls=5:allf=t,fps=24",
    scores=(Score(language="en", label="English", root_hz=73.4, beat_s=0.2, minor=True),),
)

EMBER = DemoTitle(
    content_id="ember",
    title="Ember",
    tagline="What a fire remembers",
    description="The last hour of a fire, told by the fire. A chamber drama in one color.",
    genres=("Drama", "Ambient"),
    year=2022,
    maturity=6,
    language="en",
    duration_s=48,
    accent="#fdba74",
    picture="perlin=s=160x90:r=12:octaves=4:persistence=0.6:xscale=4:yscale=3:tscale=0.7"
    ":random_seed=8,format=gray,eq=contrast=2.2:brightness=-0.1,format=yuv444p,"
    "pseudocolor=preset=inferno,noise=alls=5:allf=t,fps=24",
    scores=(Score(language="en", label="English", root_hz=130.8, beat_s=0.6, minor=True),),
)

RULE_30 = DemoTitle(
    content_id="rule-30",
    title="Rule 30",
    tagline="Order lies",
    description="A pattern that no one can predict climbs a wall that no one can leave. "
    "Flashing images; for adults.",
    genres=("Thriller", "Science Fiction"),
    year=2026,
    maturity=18,
    language="en",
    duration_s=48,
    accent="#f87171",
    picture="cellauto=s=160x90:r=12:rule=30:random_seed=5:scroll=1,scale=480:270:flags=neighbor,"
    "format=yuv444p,gblur=sigma=1.2,colorchannelmixer=rr=0.85:gg=0.12:bb=0.16,vignette,fps=24",
    scores=(Score(language="en", label="English", root_hz=55.0, beat_s=0.15, minor=True),),
)

BLUE_HOUR = DemoTitle(
    content_id="blue-hour",
    title="Blue Hour",
    tagline="Twenty seconds of evening",
    description="The shortest film here: the sky between sunset and dark, in twenty seconds.",
    genres=("Short", "Nature"),
    year=2025,
    maturity=0,
    language="en",
    duration_s=20,
    accent="#93c5fd",
    picture="perlin=s=128x72:r=12:octaves=3:persistence=0.5:xscale=2:yscale=2:tscale=0.3"
    ":random_seed=4,format=gray,eq=contrast=2.4:brightness=-0.05,format=yuv444p,"
    "pseudocolor=preset=cool,gblur=sigma=1,noise=alls=6:allf=t,fps=24",
    scores=(Score(language="en", label="English", root_hz=146.8, beat_s=0.5),),
)

# The shortest first: it is there to be played while the others are made.
DEMO_TITLES = (BLUE_HOUR, NORTHERN_DRIFT, DEEP_ZOOM, EMBER, COLONY, RULE_30)
