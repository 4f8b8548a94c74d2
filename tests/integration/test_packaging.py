"""Packaging with the real encoder and packager, to files and to an S3 server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fsspec.config import conf as fsspec_config
from moto.server import ThreadedMotoServer

from infra.content.binaries import MediaTools, find_media_tools
from infra.content.demo import DemoStudio, make_demo_titles
from infra.content.demo_titles import BLUE_HOUR, NORTHERN_DRIFT, DemoTitle
from infra.content.encryption import Stream, encrypt
from infra.content.errors import MediaError, MediaToolError
from infra.content.files import plan_file
from infra.content.ladder import Rung
from infra.content.packaging import package_title
from infra.content.process import run_tool
from infra.content.source import ExternalAudio, SubtitleInput
from infra.content.storage import Storage
from schemas.catalog import Segments, Tier, Title
from schemas.licenses import TierKey
from tests.integration.media import KeyRing, decodes, make_film, watching_processes

LADDER = (
    Rung(height=240, bitrate_kbps=200, tier="sd"),
    Rung(height=360, bitrate_kbps=400, tier="hd"),
    Rung(height=720, bitrate_kbps=900, tier="hd"),
)
SRT = "1\n00:00:01,000 --> 00:00:02,500\nGrüße\n"


@pytest.fixture(scope="module")
def tools() -> MediaTools:
    return find_media_tools()


@pytest.fixture(scope="module")
def film(tools: MediaTools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A name that would break a shell, a URL parser, or the packager's own list syntax.
    return make_film(tools, tmp_path_factory.mktemp("film") / "http:a, film's $(name).mp4")


@pytest.fixture
def s3_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "key": "test",
        "secret": "test",
        "endpoint_url": f"http://{host}:{port}",
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    monkeypatch.setitem(fsspec_config, "s3", options)
    yield Storage("s3://titles/content")
    server.stop()


async def package(
    tools: MediaTools,
    path: Path,
    storage: Storage,
    keys: KeyRing,
    work_root: Path,
    *,
    subtitles: tuple[SubtitleInput, ...] = (),
    audio: tuple[ExternalAudio, ...] = (),
    stages: list[tuple[str, float]] | None = None,
) -> Title:
    job = await plan_file(
        tools,
        path,
        Title(content_id="film", title="A film", duration_ms=0),
        revision="r1",
        subtitles=subtitles,
        audio=audio,
        ladder=LADDER,
        preset="ultrafast",
    )
    told = stages if stages is not None else []
    return await package_title(
        job,
        tools=tools,
        storage=storage,
        request_keys=keys.request,
        work_root=work_root,
        on_progress=lambda _content_id, stage, share: told.append((stage, share)),
    )


def joined(storage: Storage, segments: Segments, target: Path) -> Path:
    count = len(segments.durations)
    paths = [segments.init]
    paths += [segments.media.replace("$Number$", str(n)) for n in range(1, count + 1)]
    target.write_bytes(b"".join(storage.read(f"film/{path}") for path in paths))
    return target


def files_holding(folder: Path, prefix: str) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(prefix)]


def contents_below(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_a_file_becomes_a_title_whose_facts_are_those_of_its_files(
    tools: MediaTools, film: Path, tmp_path: Path
) -> None:
    storage, keys = Storage(f"file://{tmp_path}/store"), KeyRing()
    subtitle = tmp_path / "de.srt"
    subtitle.write_text(SRT, encoding="utf-8")
    stages: list[tuple[str, float]] = []
    title = await package(
        tools,
        film,
        storage,
        keys,
        tmp_path,
        subtitles=(SubtitleInput(path=subtitle, language="de", label="Deutsch"),),
        stages=stages,
    )

    assert [(r.width, r.height, r.tier) for r in title.video] == [
        (320, 240, "sd"),
        (480, 360, "hd"),
    ]
    assert title.duration_ms == 5000
    for rendition in title.video:
        segments = rendition.segments
        seconds = [ticks / segments.timescale for ticks in segments.durations]
        assert seconds == [2, 2, 1]
        sizes = [storage.size_bytes(f"film/r1/{rendition.rendition_id}/{n}.m4s") for n in (1, 2, 3)]
        assert list(segments.sizes_bytes) == sizes
        assert rendition.bitrate_kbps >= rendition.average_bitrate_kbps > 0
        assert rendition.codecs.startswith("avc1.")
    (sound,) = title.audio
    assert (sound.language, sound.codecs, sound.is_default) == ("eng", "mp4a.40.2", True)
    assert "Grüße" in storage.read(f"film/{title.subtitles[0].path}").decode()
    assert storage.read(f"film/{title.poster}")[:2] == b"\xff\xd8"
    assert stages[0] == ("keys", 0)
    assert stages[-1] == ("done", 1)
    assert ("encode", 1.0) in stages
    assert msgspec.json.decode(msgspec.json.encode(title), type=Title) == title
    assert files_holding(tmp_path, "film-") == [], "the working folder was left behind"


async def test_each_tier_opens_with_its_own_key_and_no_other(
    tools: MediaTools, film: Path, tmp_path: Path
) -> None:
    storage, keys = Storage(f"file://{tmp_path}/store"), KeyRing()
    title = await package(tools, film, storage, keys, tmp_path)
    sd, hd = (
        joined(storage, rendition.segments, tmp_path / f"{rendition.rendition_id}.mp4")
        for rendition in title.video
    )
    assert decodes(tools, sd, keys.hex_of("film", "sd"))
    assert decodes(tools, hd, keys.hex_of("film", "hd"))
    assert not decodes(tools, hd, keys.hex_of("film", "sd"))
    assert not decodes(tools, sd, keys.hex_of("film", "audio"))
    assert [r.key_id for r in title.video] == [
        keys.keys["film", "sd"].key_id,
        keys.keys["film", "hd"].key_id,
    ]
    assert title.audio[0].key_id == keys.keys["film", "audio"].key_id


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_keys_are_never_in_an_argument_an_environment_or_a_file(
    tools: MediaTools, film: Path, tmp_path: Path
) -> None:
    storage, keys = Storage(f"file://{tmp_path}/store"), KeyRing()
    with watching_processes() as watch:
        await package(tools, film, storage, keys, tmp_path)
    secrets = [key.key.hex().encode() for key in keys.keys.values()]
    assert any(b"packager" in seen for seen in watch.seen), "the packager was never caught running"
    for seen in watch.seen:
        assert not any(secret in seen for secret in secrets)
    raw = [key.key for key in keys.keys.values()]
    for data in contents_below(tmp_path):
        assert not any(secret in data for secret in (*secrets, *raw))


async def test_a_packager_that_fails_does_not_tell_the_keys(
    tools: MediaTools, tmp_path: Path
) -> None:
    keys = await KeyRing().request("film", ("sd",))
    stream = Stream(track_id="v240", kind="video", tier="sd")
    with pytest.raises(MediaToolError) as raised:
        await encrypt(tools, (stream,), keys, work_dir=tmp_path, out="media")
    assert keys[0].key.hex() not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


async def test_audio_files_beside_the_video_become_tracks(
    tools: MediaTools, film: Path, tmp_path: Path
) -> None:
    storage, keys = Storage(f"file://{tmp_path}/store"), KeyRing()
    spare = make_film(tools, tmp_path / "de.mp4", seconds=9)
    added = (ExternalAudio(path=spare, language="de", label="Deutsch"),)
    title = await package(tools, film, storage, keys, tmp_path, audio=added)
    assert [(t.language, t.is_default) for t in title.audio] == [("eng", True), ("de", False)]
    # Nine seconds of sound end with the five of the picture.
    segments = title.audio[1].segments
    assert abs(sum(segments.durations) / segments.timescale - 5) < 0.1


async def test_s3_holds_what_files_hold(
    tools: MediaTools, film: Path, tmp_path: Path, s3_bucket: Storage
) -> None:
    here, keys = Storage(f"file://{tmp_path}/store"), KeyRing()
    on_disk = await package(tools, film, here, keys, tmp_path)
    in_s3 = await package(tools, film, s3_bucket, keys, tmp_path)
    assert in_s3.storage[0].url == "s3://titles/content/film"
    assert s3_bucket.list("film") == here.list("film")
    assert in_s3.video[0].segments.durations == on_disk.video[0].segments.durations
    segment = "film/r1/v240/1.m4s"
    assert s3_bucket.size_bytes(segment) == in_s3.video[0].segments.sizes_bytes[0]
    assert len(s3_bucket.read(segment, 10, 20)) == 10
    with pytest.raises(FileNotFoundError):
        s3_bucket.size_bytes("film/r1/v240/99.m4s")
    s3_bucket.remove("film")
    assert s3_bucket.list("film") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "ended with"), (b"not a film" * 100, "ended with"), (os.urandom(4096), "ended with")],
    ids=["empty", "text", "noise"],
)
async def test_what_is_no_video_is_refused(
    tools: MediaTools, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        await package(tools, path, Storage(f"file://{tmp_path}/s"), KeyRing(), tmp_path)
    assert not (tmp_path / "s").exists()


async def test_a_missing_file_is_named(tools: MediaTools, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"there is no file .*gone\.mp4"):
        await package(
            tools, tmp_path / "gone.mp4", Storage(f"file://{tmp_path}/s"), KeyRing(), tmp_path
        )


async def test_without_its_keys_no_title_is_stored(
    tools: MediaTools, film: Path, tmp_path: Path
) -> None:
    class Locked(KeyRing):
        async def request(self, content_id: str, tiers: tuple[Tier, ...]) -> tuple[TierKey, ...]:
            return (await super().request(content_id, tiers))[:1]

    with pytest.raises(MediaError, match="no key was given"):
        await package(tools, film, Storage(f"file://{tmp_path}/s"), Locked(), tmp_path)
    assert not (tmp_path / "s").exists()


async def test_a_program_that_is_given_up_is_ended(tmp_path: Path) -> None:
    task = asyncio.create_task(run_tool(["sleep", "3600.25"], cwd=tmp_path))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with watching_processes() as watch:
        await asyncio.sleep(0.1)
    assert b"sleep\x003600.25\x00" not in watch.seen


async def test_demo_titles_are_made_once_and_again_when_their_keys_are_gone(
    tools: MediaTools, tmp_path: Path
) -> None:
    keys = KeyRing()
    short = msgspec.structs.replace(BLUE_HOUR, duration_s=6)
    talky = msgspec.structs.replace(NORTHERN_DRIFT, duration_s=6)
    revisions = iter("abcdefgh")
    storage = Storage(f"file://{tmp_path}/store")

    async def made(*demos: DemoTitle) -> dict[str, Title]:
        studio = DemoStudio(
            tools=tools,
            storage=storage,
            request_keys=keys.request,
            work_root=tmp_path,
            on_progress=lambda *_: None,
            new_revision=lambda: next(revisions),
        )
        return {t.content_id: t async for t in make_demo_titles(studio, demos)}

    first = await made(short, talky)
    drift = first["northern-drift"]
    assert [r.height for r in drift.video] == [240, 360, 480, 720]
    assert [t.language for t in drift.audio] == ["en", "de"]
    assert [t.language for t in drift.subtitles] == ["en", "de"]
    assert first["blue-hour"].duration_ms == 6000
    assert await made(short, talky) == first
    keys.keys.clear()
    await keys.request("another", ("sd",))  # So that the new ids differ from the old ones.
    again = await made(short)
    assert again["blue-hour"].video[0].segments.init != first["blue-hour"].video[0].segments.init
