"""HLS media playlists: segments of one track on one CDN, with the key tags that players accept."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

from gateway.delivery.template import ROOT_URL, SESSION_QUERY
from gateway.delivery.viewer import Cdn
from schemas.catalog import Segments, SubtitleTrack, Title

VERSION = 7


def build_media(title: Title, track_id: str, cdn: Cdn) -> str | None:
    """A template of the playlist of a rendition, audio or subtitle track; None if there is none.

    The caller has checked that the viewer is entitled to the track.
    """
    folder_url = f"{cdn.base_url}/{title.content_id}"
    for rendition in title.video:
        if rendition.rendition_id == track_id:
            return _build(rendition.segments, rendition.key_id, folder_url)
    for audio in title.audio:
        if audio.track_id == track_id:
            return _build(audio.segments, audio.key_id, folder_url)
    for subtitle in title.subtitles:
        if subtitle.track_id == track_id:
            return _build_subtitles(subtitle, title.duration_ms, folder_url)
    return None


def _build(segments: Segments, key_id: str | None, folder_url: str) -> str:
    lines = _head(max(segments.durations) / segments.timescale)
    if key_id is not None:
        lines += _key_tags(key_id)
    lines.append(f'#EXT-X-MAP:URI="{folder_url}/{segments.init}{SESSION_QUERY}"')
    lines += _segments(segments, folder_url)
    return "\n".join(lines) + "\n#EXT-X-ENDLIST\n"


def _segments(segments: Segments, folder_url: str) -> Iterator[str]:
    before, _, after = segments.media.partition("$Number$")
    for number, ticks in enumerate(segments.durations, start=segments.first_number):
        yield f"#EXTINF:{ticks / segments.timescale:.6f},"
        yield f"{folder_url}/{before}{number}{after}{SESSION_QUERY}"


def _key_tags(key_id: str) -> tuple[str, str]:
    """Both forms of CENC's key, before EXT-X-MAP: Shaka reads the first, hls.js the second."""
    identity = f'URI="{ROOT_URL}/key/{key_id}",KEYFORMAT="identity"'
    key_data = f"data:text/plain;base64,{base64.b64encode(bytes.fromhex(key_id)).decode()}"
    clear_key = f'URI="{key_data}",KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1"'
    return (
        f"#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,{identity}",
        f"#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,{clear_key},KEYID=0x{key_id}",
    )


def _build_subtitles(track: SubtitleTrack, duration_ms: int, folder_url: str) -> str:
    """The whole WebVTT file as the one segment."""
    duration_s = duration_ms / 1000
    lines = [
        *_head(duration_s),
        f"#EXTINF:{duration_s:.6f},",
        f"{folder_url}/{track.path}{SESSION_QUERY}",
        "#EXT-X-ENDLIST",
    ]
    return "\n".join(lines) + "\n"


def _head(longest_s: float) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{math.ceil(longest_s)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
