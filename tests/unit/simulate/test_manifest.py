"""The simulator reads what the gateway writes."""

from __future__ import annotations

import pytest

from gateway.delivery.dash import build_mpd
from infra.simulate.manifest import read_manifest
from schemas.errors import InvalidMessageError
from tests.builders import AUDIO_KEY, HD_KEY, SD_KEY, a_rendition, a_title
from tests.unit.delivery.titles import CDNS

TITLE = a_title(duration_ms=58_500, video=(a_rendition(480, 1_100), a_rendition(720, 2_500)))


def test_a_manifest_of_the_gateway_tells_ladder_keys_and_segments() -> None:
    manifest = read_manifest(build_mpd(TITLE, TITLE.video, CDNS).encode())
    assert manifest.duration_ms == 58_500
    assert [(rung.height, rung.bitrate_kbps) for rung in manifest.ladder] == [
        (480, 1_100),
        (720, 2_500),
    ]
    assert set(manifest.key_ids) == {AUDIO_KEY, SD_KEY, HD_KEY}
    first = manifest.ladder[0]
    assert first.media.startswith(f"{CDNS[0].base_url}/{TITLE.content_id}/v480/$Number$.m4s")
    assert first.first_number == 1


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<MPD", b"\xff\xfe", b"{}"])
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidMessageError):
        read_manifest(body)
