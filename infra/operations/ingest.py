"""From a file of the operator to a title in the catalog: probe, package, store, list."""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infra.content.binaries import MediaTools, find_media_tools
from infra.content.encode import Encoding, Preset
from infra.content.errors import MediaError
from infra.content.ladder import DEFAULT_LADDER, fit_ladder
from infra.content.packaging import PackagingJob, Progress, package_title
from infra.content.probe import probe_file
from infra.content.source import ExternalAudio, Source, SubtitleInput
from infra.content.storage import Storage
from infra.deployment import Deployment
from infra.operations.log_access import saying_why
from infra.wiring.packager import open_packager
from schemas.catalog import Title

CONTENT_ID_CHARACTERS_MAX: Final = 64
_SIDECAR: Final = re.compile(
    r"(?P<path>.+?)(?::(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})?))?"
)


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says about a file; the rest is read from it."""

    file: Path
    draft: Title
    subtitles: tuple[SubtitleInput, ...] = ()
    audio: tuple[ExternalAudio, ...] = ()
    poster: Path | None = None
    preset: Preset = "veryfast"


async def ingest_title(deployment: Deployment, ingest: Ingest, on_progress: Progress) -> Title:
    """Package the file under keys of the license agent and list it; returns the stored title.

    Raises MediaError for a file that cannot be a title, and what the agents refuse with.
    """
    tools = find_media_tools()
    source = await probe_file(tools, ingest.file, ingest.audio)
    job = job_of(ingest, source, revision=secrets.token_hex(4))
    work_root = deployment.home / "work"
    await asyncio.to_thread(work_root.mkdir, parents=True, exist_ok=True)
    with saying_why(deployment.broker()):
        async with open_packager(deployment) as packager:
            title = await package_title(
                job,
                tools=tools,
                storage=Storage(deployment.storage_url),
                request_keys=packager.request_keys,
                work_root=work_root,
                on_progress=on_progress,
            )
            return await packager.put(title)


async def probe(ingest: Ingest, tools: MediaTools | None = None) -> PackagingJob:
    """What would be made of the file. Raises MediaError."""
    source = await probe_file(tools or find_media_tools(), ingest.file, ingest.audio)
    return job_of(ingest, source, revision="dry-run")


def job_of(ingest: Ingest, source: Source, *, revision: str) -> PackagingJob:
    """The packaging of a probed file: no rendition larger than its picture."""
    rungs = fit_ladder(DEFAULT_LADDER, width=source.width, height=source.height)
    language = ingest.draft.language
    if language == "und" and source.audio:
        language = source.audio[0].language
    return PackagingJob(
        draft=msgspec.structs.replace(ingest.draft, language=language),
        revision=revision,
        source=source,
        encoding=Encoding(rungs=rungs, preset=ingest.preset),
        subtitles=ingest.subtitles,
        poster=ingest.poster,
    )


def content_id_of(name: str) -> str:
    """A content id made of a file's or a title's name. Raises MediaError where nothing is left."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    content_id = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:CONTENT_ID_CHARACTERS_MAX]
    if not content_id:
        raise MediaError(f"{name!r} gives no content id: say --content-id")
    return content_id


def sidecar(text: str, exists: Callable[[Path], bool] = Path.exists) -> tuple[Path, str]:
    """Path and language of `FILE` or `FILE:LANGUAGE`, as in `film.de.srt:de`; else `und`.

    Raises MediaError where there is no such file.
    """
    whole = Path(text)
    if exists(whole):
        return whole, "und"
    parts = _SIDECAR.fullmatch(text)
    if parts is None or parts["language"] is None or not exists(Path(parts["path"])):
        raise MediaError(f"there is no file {text}")
    return Path(parts["path"]), parts["language"]
