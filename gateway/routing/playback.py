"""What players fetch by themselves, with the session token in the path."""

from __future__ import annotations

from typing import Final

from gateway import license as licenses
from gateway import playback, stored
from gateway.bodies import BitrateAnswer, LicenseAnswer, LicenseRequest
from gateway.delivery.steering import SteeringAnswer
from gateway.routing.route import Body, Query, Route
from gateway.stored_session import StoredSession

PLAYBACK_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="getManifest",
        method="GET",
        path="/s/{session_token}/manifest.mpd",
        handler=playback.get_mpd,
        says="DASH, assembled for this viewer",
        traffic="playback",
        access="session",
        answers={200: playback.MPD},
        problems=(404,),
    ),
    Route(
        name="getMaster",
        method="GET",
        path="/s/{session_token}/master.m3u8",
        handler=playback.get_master,
        says="HLS, assembled for this viewer and player family",
        traffic="playback",
        access="session",
        query={"kf": Query(says="shaka, dashjs or hlsjs")},
        answers={200: playback.M3U8},
        problems=(404,),
    ),
    Route(
        name="getMedia",
        method="GET",
        path="/s/{session_token}/{rendition}.m3u8",
        handler=playback.get_media,
        says="HLS' media playlist of one track",
        traffic="playback",
        access="session",
        query={"cdn": Query(says="the CDN of its segments")},
        answers={200: playback.M3U8},
        problems=(404,),
    ),
    Route(
        name="postLicense",
        method="POST",
        path="/s/{session_token}/license",
        handler=licenses.post_license,
        says="A W3C ClearKey license for the entitled subset of the asked keys",
        traffic="license",
        access="session",
        body=Body(content={"*/*": LicenseRequest}),
        answers={200: LicenseAnswer},
        is_delayed=True,
    ),
    Route(
        name="postUpstreamLicense",
        method="POST",
        path="/s/{session_token}/license/{system:widevine|playready|fairplay}",
        handler=licenses.multi_drm_door,
        says="The multi-DRM door",
        traffic="license",
        access="session",
        problems=(501,),
    ),
    Route(
        name="getFairPlayCertificate",
        method="GET",
        path="/s/{session_token}/certificate/fairplay",
        handler=licenses.multi_drm_door,
        says="FairPlay's application certificate",
        traffic="license",
        access="session",
        problems=(501,),
    ),
    Route(
        name="getKey",
        method="GET",
        path="/s/{session_token}/key/{kid}",
        handler=licenses.get_key,
        says="16 bytes, for HLS identity keys",
        traffic="license",
        access="session",
        answers={200: "application/octet-stream"},
        problems=(400,),
        is_delayed=True,
    ),
    Route(
        name="getSteering",
        method="GET",
        path="/s/{session_token}/steering",
        handler=playback.get_steering,
        says="Content steering for DASH and HLS; always 200",
        traffic="playback",
        query={"kf": Query(says="shaka, dashjs or hlsjs")},
        answers={200: SteeringAnswer},
    ),
    Route(
        name="getBitrate",
        method="GET",
        path="/s/{session_token}/bitrate",
        handler=playback.get_bitrate,
        says="The decision now; as text/event-stream every decision",
        traffic="stream",
        access="session",
        query={
            "wait_ms": Query(says="answer at the next decision, or after so long", type_="integer"),
            "since_ms": Query(
                says="answer at once where the decision is newer than this decided_at_ms",
                type_="integer",
            ),
        },
        answers={200: BitrateAnswer},
        problems=(400,),
    ),
    Route(
        name="getStored",
        method="GET",
        path="/s/{session_token}/stored",
        handler=stored.get_stored,
        says="The session's newest events and decisions as analytics stored them",
        traffic="stream",
        access="session",
        answers={200: StoredSession},
        problems=(404,),
    ),
)
