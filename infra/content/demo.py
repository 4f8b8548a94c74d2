"""Makes the demo titles, or finds them made: each is given as soon as it can be played."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import msgspec

from infra.content.binaries import MediaTools
from infra.content.demo_music import music_chain
from infra.content.demo_pictures import CLOCK_FPS, draw_badge, draw_card, draw_clocks, draw_poster
from infra.content.demo_titles import DEMO_TITLES, Cues, DemoTitle
from infra.content.encode import Encoding
from infra.content.encryption import RequestKeys
from infra.content.ladder import Rung, fit_ladder
from infra.content.packaging import PackagingJob, Progress, package_title
from infra.content.process import run_tool
from infra.content.source import AudioInput, Source, SubtitleInput
from infra.content.storage import Storage
from schemas.catalog import Title
from schemas.codec import Decoder, encode
from schemas.errors import InvalidMessageError
from schemas.licenses import TierKey

DEMO_VERSION = "demo-1"
"""Raised when the demo's pictures change: what lies in storage is then made anew."""

FRAME_RATE = 24
CARD_S = 5
PARALLEL = 2
LADDER = (
    Rung(height=240, bitrate_kbps=250, tier="sd"),
    Rung(height=360, bitrate_kbps=500, tier="sd"),
    Rung(height=480, bitrate_kbps=900, tier="sd"),
    Rung(height=720, bitrate_kbps=2000, tier="hd"),
)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What storage remembers of a made title."""

    demo_version: str
    title: Title


class DemoStudio(msgspec.Struct, frozen=True, kw_only=True):
    """What making needs; `new_revision` gives a new word each time."""

    tools: MediaTools
    storage: Storage
    request_keys: RequestKeys
    work_root: Path
    on_progress: Progress
    new_revision: Callable[[], str]


async def make_demo_titles(
    studio: DemoStudio, titles: tuple[DemoTitle, ...] = DEMO_TITLES
) -> AsyncIterator[Title]:
    """Gives each title when it is ready, those that lie in storage at once.

    A title is made anew when the demo changed, or when the license agent no longer has its keys.
    MediaError when one cannot be made; the others are given up then.
    """
    slots = asyncio.Semaphore(PARALLEL)
    with tempfile.TemporaryDirectory(dir=studio.work_root, prefix="demo-") as folder:
        tasks = [
            asyncio.create_task(_find_or_make(studio, demo, Path(folder), slots)) for demo in titles
        ]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _find_or_make(
    studio: DemoStudio, demo: DemoTitle, folder: Path, slots: asyncio.Semaphore
) -> Title:
    made = await asyncio.to_thread(_read_made, studio.storage, demo.content_id)
    if made is not None:
        keys = await studio.request_keys(demo.content_id, ("audio", "sd", "hd"))
        if is_current(made, keys, studio.storage):
            studio.on_progress(demo.content_id, "done", 1)
            return made.title
    async with slots:
        work_dir = folder / demo.content_id
        await asyncio.to_thread(draw_overlays, demo, work_dir)
        await _draw_poster(studio.tools, demo, work_dir)
        title = await package_title(
            job_of(demo, work_dir, f"{DEMO_VERSION}-{studio.new_revision()}"),
            tools=studio.tools,
            storage=studio.storage,
            request_keys=studio.request_keys,
            work_root=studio.work_root,
            on_progress=studio.on_progress,
        )
    record = encode(Made(demo_version=DEMO_VERSION, title=title))
    await asyncio.to_thread(studio.storage.write, _record_path(demo.content_id), record)
    return title


def is_current(made: Made, keys: tuple[TierKey, ...], storage: Storage) -> bool:
    """True where the made title can be played as the demo is now: same look, same keys."""
    held = {key.key_id for key in keys}
    used = {track.key_id for track in made.title.video}
    used |= {track.key_id for track in made.title.audio}
    here = any(at.url == storage.url_of(made.title.content_id) for at in made.title.storage)
    return made.demo_version == DEMO_VERSION and used <= held and here


def _read_made(storage: Storage, content_id: str) -> Made | None:
    decoder: Decoder[Made] = Decoder(Made)
    try:
        return decoder.decode(storage.read(_record_path(content_id)))
    except (FileNotFoundError, InvalidMessageError):
        return None  # Never made, or by another version of this program.


def _record_path(content_id: str) -> str:
    return f"{content_id}/made.json"


def job_of(demo: DemoTitle, work_dir: Path, revision: str) -> PackagingJob:
    """Pure: the packaging of a demo title whose overlays lie in work_dir."""
    source = source_of(demo, work_dir)
    rungs = fit_ladder(LADDER, width=source.width, height=source.height)
    return PackagingJob(
        draft=Title(
            content_id=demo.content_id,
            title=demo.title,
            description=demo.description,
            duration_ms=0,
            genres=demo.genres,
            language=demo.language,
            year=demo.year,
            maturity=demo.maturity,
        ),
        revision=revision,
        source=source,
        encoding=Encoding(
            rungs=rungs,
            preset="ultrafast",
            badges={rung.rendition_id: work_dir / f"{rung.rendition_id}.webp" for rung in rungs},
        ),
        subtitles=tuple(
            SubtitleInput(
                path=work_dir / f"{cues.language}.vtt", language=cues.language, label=cues.label
            )
            for cues in demo.cues
        ),
        poster=work_dir / "poster.jpg",
    )


def source_of(demo: DemoTitle, work_dir: Path) -> Source:
    """Pure: picture, title card and clock, and the music, as one filter graph."""
    clocks = ("-f", "image2", "-framerate", str(CLOCK_FPS))
    fades = f"fade=in:d=0.8:alpha=1,fade=out:st={CARD_S - 1.2}:d=1.1:alpha=1"
    # Decoded once and repeated: an image input that loops is decoded for every frame.
    repeat = f"format=yuva420p,fps={FRAME_RATE},loop=loop={CARD_S * FRAME_RATE}:size=1"
    parts = [
        f"{demo.picture},scale=1280:720:flags=bicubic,format=yuv420p,setsar=1[scene]",
        f"[0:v]{repeat},{fades}[card]",
        "[scene][card]overlay=x=(W-w)/2:y=(H-h)/2:eof_action=pass:format=yuv420[titled]",
        "[titled][1:v]overlay=x=40:y=36:format=yuv420[picture]",
    ]
    parts += [
        f"{music_chain(score, demo.duration_s)}[music{number}]"
        for number, score in enumerate(demo.scores)
    ]
    return Source(
        input_args=(
            *("-i", str(work_dir / "card.webp")),
            *(*clocks, "-i", str(work_dir / "clock" / "%04d.webp")),
        ),
        graph=";".join(parts),
        width=1280,
        height=720,
        frame_rate=Fraction(FRAME_RATE),
        duration_ms=demo.duration_s * 1000,
        audio=tuple(
            AudioInput(
                selector=f"[music{number}]",
                language=score.language,
                label=score.label,
                is_default=number == 0,
                channels=1,
            )
            for number, score in enumerate(demo.scores)
        ),
    )


def draw_overlays(demo: DemoTitle, work_dir: Path) -> None:
    """Writes card, clock, badges and subtitles to work_dir. Blocks for about a second."""
    work_dir.mkdir()
    card = work_dir / "card.webp"
    draw_card(card, title=demo.title, tagline=demo.tagline, accent=demo.accent)
    draw_clocks(work_dir / "clock", demo.duration_s)
    for rung in fit_ladder(LADDER, width=1280, height=720):
        draw_badge(work_dir / f"{rung.rendition_id}.webp", rung)
    for cues in demo.cues:
        text = web_vtt(cues, demo.duration_s)
        (work_dir / f"{cues.language}.vtt").write_text(text, encoding="utf-8")


def web_vtt(cues: Cues, duration_s: int) -> str:
    """The lines, evenly spread from the end of the title card on."""
    step_s = (duration_s - CARD_S) / len(cues.lines)
    blocks = ["WEBVTT"]
    for number, line in enumerate(cues.lines):
        start_s = CARD_S + number * step_s
        blocks.append(f"{_clock_time(start_s)} --> {_clock_time(start_s + step_s * 0.85)}\n{line}")
    return "\n\n".join(blocks) + "\n"


def _clock_time(seconds: float) -> str:
    return f"00:{int(seconds) // 60:02}:{seconds % 60:06.3f}"


async def _draw_poster(tools: MediaTools, demo: DemoTitle, work_dir: Path) -> None:
    frame = work_dir / "frame.jpg"
    await run_tool(
        [
            *(tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", demo.picture),
            *("-vf", "trim=start=9,format=yuvj420p", "-frames:v", "1", frame),
        ]
    )
    await asyncio.to_thread(
        draw_poster,
        work_dir / "poster.jpg",
        frame=frame,
        title=demo.title,
        tagline=demo.tagline,
        accent=demo.accent,
    )
