"""The HLS multivariant playlist: a set of variants per pathway, of groups per CDN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.delivery.pathways import Pathway, audio_kbps_max, list_pathways
from gateway.delivery.template import ROOT_URL, printable
from gateway.delivery.viewer import Cdn, Player
from schemas.catalog import AudioTrack, Rendition, SubtitleTrack, Title

# Content steering and STABLE-VARIANT-ID; all three players take it.
VERSION = 10


def build_master(
    title: Title, renditions: tuple[Rendition, ...], cdns: Sequence[Cdn], player: Player
) -> str:
    """A template of the multivariant playlist.

    Groups belong to a CDN each: a player that is steered elsewhere must find its audio there. The
    pathways of one CDN share them: another group is another audio track to hls.js, which fetches it
    anew, and where that happens in the last segment of a title it never ends [measured].
    """
    pathways = list_pathways(cdns, renditions, player)
    steering_url = f"{ROOT_URL}/steering?kf={player}"
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-CONTENT-STEERING:SERVER-URI="{steering_url}",PATHWAY-ID="{pathways[0].name}"',
    ]
    for cdn in cdns:
        lines += _audio_group(title.audio, cdn, player)
        lines += _subtitle_group(title.subtitles, cdn, player)
    for pathway in pathways:
        for rendition in pathway.renditions:
            lines += _variant(title, rendition, pathway, player)
    return "\n".join(lines) + "\n"


def _audio_group(tracks: tuple[AudioTrack, ...], cdn: Cdn, player: Player) -> Iterator[str]:
    default = next((track for track in tracks if track.is_default), tracks[0] if tracks else None)
    for track, name in zip(tracks, _unique_names(tracks), strict=True):
        yield (
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-{cdn.name}",'
            f'NAME="{name}",LANGUAGE="{_quoted(track.language)}",'
            f"DEFAULT={'YES' if track is default else 'NO'},AUTOSELECT=YES,"
            f'CHANNELS="{track.channels}",STABLE-RENDITION-ID="{track.track_id}",'
            f'URI="{_playlist_url(track.track_id, cdn, player)}"'
        )


def _subtitle_group(tracks: tuple[SubtitleTrack, ...], cdn: Cdn, player: Player) -> Iterator[str]:
    # Shaka looks for the pathway of subtitles on their own tag; without it, it fetches nothing.
    own_pathway = f',PATHWAY-ID="{cdn.name}"' if player == "shaka" else ""
    # hls.js drops the cues of the group that it leaves, and does not load what has the same id.
    own_id = f"-{cdn.name}" if player == "hlsjs" else ""
    for track, name in zip(tracks, _unique_names(tracks), strict=True):
        yield (
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles-{cdn.name}",'
            f'NAME="{name}",LANGUAGE="{_quoted(track.language)}",'
            f"DEFAULT=NO,AUTOSELECT=YES,"
            f'STABLE-RENDITION-ID="{track.track_id}{own_id}"{own_pathway},'
            f'URI="{_playlist_url(track.track_id, cdn, player)}"'
        )


def _variant(
    title: Title, rendition: Rendition, pathway: Pathway, player: Player
) -> tuple[str, str]:
    audio_kbps = audio_kbps_max(title)
    codecs = dict.fromkeys([rendition.codecs, *(track.codecs for track in title.audio)])
    attributes = [
        f"BANDWIDTH={(rendition.bitrate_kbps + audio_kbps) * 1000}",
        f"AVERAGE-BANDWIDTH={(rendition.average_bitrate_kbps + audio_kbps) * 1000}",
        f'CODECS="{",".join(codecs)}"',
        f"RESOLUTION={rendition.width}x{rendition.height}",
        f"FRAME-RATE={rendition.frame_rate:.3f}",
        "CLOSED-CAPTIONS=NONE",
        f'PATHWAY-ID="{pathway.name}"',
        f'STABLE-VARIANT-ID="{rendition.rendition_id}"',
    ]
    if title.audio:
        attributes.append(f'AUDIO="audio-{pathway.cdn.name}"')
    if title.subtitles:
        attributes.append(f'SUBTITLES="subtitles-{pathway.cdn.name}"')
    return (
        f"#EXT-X-STREAM-INF:{','.join(attributes)}",
        _playlist_url(rendition.rendition_id, pathway.cdn, player),
    )


def _playlist_url(track_id: str, cdn: Cdn, player: Player) -> str:
    return f"{ROOT_URL}/{track_id}.m3u8?cdn={cdn.name}&kf={player}"


def _unique_names(tracks: Sequence[AudioTrack] | Sequence[SubtitleTrack]) -> list[str]:
    """Labels, made distinct: within a group HLS wants each NAME once."""
    names: list[str] = []
    for track in tracks:
        name = _quoted(track.label or track.language)
        names.append(name if name not in names else f"{name} ({track.track_id})")
    return names


def _quoted(text: str) -> str:
    """Text as an HLS quoted-string holds it."""
    return printable(text).replace('"', "'")
