"""`playhead content`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from infra.cli.output import json_option, print_rows
from infra.content.encode import Preset
from infra.content.packaging import PackagingJob, Stage, tiers_of
from infra.content.source import ExternalAudio, SubtitleInput
from infra.deployment import Deployment
from infra.operations.households import read_titles
from infra.operations.ingest import Ingest, content_id_of, ingest_title, probe, sidecar
from infra.operations.key_rotation import read_keys
from infra.operations.moments import instant
from infra.settings import load_settings
from schemas.catalog import Tier, Title
from schemas.errors import PlayheadError


@click.group("content")
def command() -> None:
    """Titles: add one from a file, list them, see under which keys they lie.

    Example: playhead content add film.mp4 --title "The Tide" --genre drama
    """


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--content-id", help="Lower-case letters, digits, hyphens; default: of the title.")
@click.option("--title", "name", help="Its name; default: the file's.")
@click.option("--description", default="", help="What it is about.")
@click.option("--genre", "genres", multiple=True, help="May be given several times.")
@click.option("--language", default="und", help="BCP 47; default: that of its first sound.")
@click.option("--year", type=click.IntRange(1880, 2200), default=None)
@click.option("--maturity", type=click.IntRange(0, 21), default=0, help="Least age in years.")
@click.option("--region", "regions", multiple=True, help="Only there (ISO 3166-1); several times.")
@click.option("--plan", "plans", multiple=True, help="Only in this plan; several times.")
@click.option("--subtitles", multiple=True, metavar="FILE[:LANGUAGE]", help="Several times.")
@click.option("--audio", multiple=True, metavar="FILE[:LANGUAGE]", help="A further sound.")
@click.option("--poster", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--preset", type=click.Choice(["ultrafast", "veryfast", "medium"]), default="veryfast"
)
@click.option("--dry-run", is_flag=True, help="Only say what would be made of the file.")
def add(
    file: Path,
    content_id: str | None,
    name: str | None,
    description: str,
    genres: tuple[str, ...],
    language: str,
    year: int | None,
    maturity: int,
    regions: tuple[str, ...],
    plans: tuple[str, ...],
    subtitles: tuple[str, ...],
    audio: tuple[str, ...],
    poster: Path | None,
    preset: Preset,
    dry_run: bool,
) -> None:
    """Encode FILE, encrypt it under keys of its own, store it and list it.

    The same content id again replaces the title. Example:
    playhead content add film.mp4 --title "The Tide" --genre drama --subtitles film.de.srt:de
    """
    called = name or file.stem.replace("_", " ")
    draft = _checked(
        Title(
            content_id=content_id or content_id_of(called),
            title=called,
            description=description,
            duration_ms=0,
            genres=genres,
            language=language,
            year=year or 0,
            maturity=maturity,
            regions=tuple(region.upper() for region in regions),
            plans=plans,
        )
    )
    ingest = Ingest(
        file=file,
        draft=draft,
        subtitles=tuple(
            SubtitleInput(path=path, language=spoken, label=spoken)
            for path, spoken in map(sidecar, subtitles)
        ),
        audio=tuple(
            ExternalAudio(path=path, language=spoken, label=spoken)
            for path, spoken in map(sidecar, audio)
        ),
        poster=poster,
        preset=preset,
    )
    if dry_run:
        _print_job(asyncio.run(probe(ingest)))
        return
    title = _ingest(Deployment(settings=load_settings()), ingest)
    heights = ", ".join(str(rendition.height) for rendition in title.video)
    click.echo(f"{title.content_id} is listed: {title.title}, {heights} lines")


@command.command("list")
@json_option
def list_content(as_json: bool) -> None:
    """The titles of the catalog.

    Example: playhead content list
    """
    titles = asyncio.run(read_titles(Deployment(settings=load_settings())))
    print_rows(
        ("content_id", "title", "seconds", "heights", "audio", "subtitles", "listed", "version"),
        (
            (
                title.content_id,
                title.title,
                round(title.duration_ms / 1000),
                " ".join(str(rendition.height) for rendition in title.video),
                " ".join(track.language for track in title.audio),
                " ".join(track.language for track in title.subtitles),
                "yes" if title.listed else "no",
                title.version,
            )
            for _, title in sorted(titles.items())
        ),
        as_json=as_json,
    )


@command.command("keys")
@click.argument("content_id")
@json_option
def keys(content_id: str, as_json: bool) -> None:
    """A content's key ids, their tiers, periods and the version that wraps them; never a key.

    A period is 0 for a key that stays, as those of stored titles do. Example:
    playhead content keys tide
    """
    log = asyncio.run(read_keys(Deployment(settings=load_settings())))
    found = sorted(
        (key for key in log.keys if key.content_id == content_id),
        key=lambda key: (get_args(Tier).index(key.tier), key.period),
    )
    if not found:
        raise PlayheadError(f"{content_id} has no keys; `playhead content list` names the titles")
    print_rows(
        ("key_id", "tier", "period", "kek_version", "created"),
        ((k.key_id, k.tier, k.period, k.kek_version, instant(k.created_at_ms)) for k in found),
        as_json=as_json,
    )


def _checked(draft: Title) -> Title:
    try:
        return msgspec.convert(msgspec.to_builtins(draft), Title)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error


def _ingest(deployment: Deployment, ingest: Ingest) -> Title:
    with Progress(
        TextColumn("{task.description:8}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("probe", total=1.0)

        def show(_: str, stage: Stage, share: float) -> None:
            bar.update(task, description=stage, completed=share)

        return asyncio.run(ingest_title(deployment, ingest, show))


def _print_job(job: PackagingJob) -> None:
    source = job.source
    click.echo(
        f"{job.draft.content_id}: {source.width}x{source.height},"
        f" {source.duration_ms / 1000:.1f} s, tiers {', '.join(tiers_of(job))}"
    )
    print_rows(
        ("rendition", "size", "kbps", "tier"),
        (
            (rung.rendition_id, f"{rung.width}x{rung.height}", rung.bitrate_kbps, rung.tier)
            for rung in job.encoding.rungs
        ),
    )
    click.echo(f"sounds: {', '.join(track.language for track in source.audio) or 'none'}")
