"""One CMCD set as typed facts in our units: what the parser gives and the event mapping takes."""

import msgspec


class CmcdReport(msgspec.Struct, frozen=True, kw_only=True):
    """The known, well-typed keys of one CMCD set; whatever was absent or ill-typed is ``None``.

    Where a key may be given per media type (``br=(2595;v 104;a)``), the plain field holds the
    video value (or the muxed or untyped one) and the ``audio_`` field the audio value.
    """

    version: int = 1
    session_id: str | None = None
    content_id: str | None = None
    sequence_number: int | None = None
    at_ms: int | None = None
    event: str | None = None
    state: str | None = None
    object_type: str | None = None
    stream_type: str | None = None
    streaming_format: str | None = None
    custom_event: str | None = None

    bitrate_kbps: int | None = None
    audio_bitrate_kbps: int | None = None
    top_bitrate_kbps: int | None = None
    buffer_length_ms: int | None = None
    audio_buffer_length_ms: int | None = None
    measured_throughput_kbps: int | None = None
    audio_measured_throughput_kbps: int | None = None
    requested_throughput_kbps: int | None = None

    playhead_ms: int | None = None
    playback_rate: float | None = None
    media_start_delay_ms: int | None = None
    live_latency_ms: int | None = None
    dropped_frame_count: int | None = None
    is_starved: bool | None = None
    is_startup: bool | None = None
    is_background: bool | None = None

    url: str | None = None
    status: int | None = None
    ttfb_ms: int | None = None
    ttlb_ms: int | None = None
    object_duration_ms: int | None = None
    error_codes: tuple[str, ...] = ()
    cdn: str | None = None
