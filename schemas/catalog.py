"""Titles, their renditions, and where they are stored: `catalog.titles.v1` and what changes it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ContentId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Tier = Literal["audio", "sd", "hd", "uhd"]
"""What shares one content key; a license is granted per tier."""


class Segments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One track's files: `init`, then `media` with $Number$ from `first_number` on.

    Paths are relative to the title's folder. `durations` are in ticks of `timescale` per second.
    """

    init: str
    media: str
    timescale: int
    durations: tuple[int, ...]
    sizes_bytes: tuple[int, ...] = ()
    first_number: int = 1


class Rendition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One encoding of the picture on the ladder."""

    rendition_id: str
    width: int
    height: int
    frame_rate: float
    codecs: str
    bitrate_kbps: int
    """Peak."""
    average_bitrate_kbps: int
    tier: Tier
    key_id: KeyId | None
    """None where the title lies in clear."""
    segments: Segments


class AudioTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One audio track."""

    track_id: str
    language: str
    label: str
    channels: int
    sampling_rate_hz: int
    codecs: str
    bitrate_kbps: int
    key_id: KeyId | None
    segments: Segments
    is_default: bool = False


class SubtitleTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One WebVTT file."""

    track_id: str
    language: str
    label: str
    path: str


class StorageLocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the title's folder lies, as fsspec writes it (file://…, s3://…)."""

    url: str


class Editorial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an editor wants of a title in recommendations; filters and maturity hold all the same.

    Of several titles pinned to one place the one that came first into the catalog has it.
    """

    pinned_place: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Of "top picks", counted from 1, for every profile that may see it."""
    boost: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """Multiplies how likely the model takes it to be watched next; below 1 it is offered less."""
    is_buried: bool = False
    """In no row but "continue watching"; it is still found in the catalog."""
    genre_titles_max: Annotated[int, Meta(ge=1, le=100)] | None = None
    """It stands in "top picks" only where fewer titles than that share a genre with it."""


class Episode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a title stands in a series; of a season before another one all episodes come first."""

    series: Annotated[str, Meta(min_length=1, max_length=64)]
    """The same for all its episodes."""
    season: Annotated[int, Meta(ge=0, le=10_000)] = 1
    number: Annotated[int, Meta(ge=0, le=100_000)]


class Title(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is known about one content."""

    content_id: ContentId
    title: str
    description: str = ""
    duration_ms: int
    genres: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    """Who made it and who plays in it, as the credits write them."""
    episode: Episode | None = None
    """Recommended only to who has watched the one before it."""
    language: str = "und"
    year: int = 0
    maturity: Annotated[int, Meta(ge=0, le=21)] = 0
    """Least age in years."""
    poster: str = ""
    """Path below the title's folder."""
    regions: tuple[str, ...] = ()
    """ISO 3166-1 regions where it may be played; empty: everywhere."""
    available_from_ms: int | None = None
    available_until_ms: int | None = None
    plans: tuple[str, ...] = ()
    """Plans that include it; empty: every plan."""
    version: int = 0
    """Counts the owner's changes."""
    listed: bool = True
    added_at_ms: int = 0
    storage: tuple[StorageLocation, ...] = ()
    video: tuple[Rendition, ...] = ()
    """Lowest first."""
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    editorial: Editorial = Editorial()


class PutTitle(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="put_title"):
    """Create the title, or replace what it says; the owner sets version and added_at_ms."""

    title: Title


class RemoveTitle(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="remove_title"):
    """Take the title out of the catalog; its media and keys stay."""

    content_id: ContentId


CatalogRequest = PutTitle | RemoveTitle


class TitleStored(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="title_stored"):
    """The catalog holds this now."""

    title: Title


class TitleRemoved(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="title_removed"
):
    """The catalog no longer lists it."""

    content_id: ContentId
