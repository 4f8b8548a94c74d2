"""What an EPAS client posts and gets, in its spelling on the wire and in ours inside."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from gateway.problems import Problem
from schemas import codec

# Sequences stay below 2^53, so times below the year 2109.
SEQUENCES_PER_MS: Final = 2**11
AT_MS_MAX: Final = 2**53 // SEQUENCES_PER_MS - 1

EpasEvent = Literal[
    "init",
    "metadata",
    "loading",
    "loaded",
    "paused",
    "seeking",
    "seeked",
    "buffering",
    "buffered",
    "playing",
    "resume",
    "bitrate_changed",
    "heartbeat",
    "warning",
    "error",
    "stopped",
]
Number = Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[float, Meta(ge=-(2**53), le=2**53)]


class EpasReport(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"client_session_id": "sessionId", "at_ms": "timestamp"},
):
    """One event of EPAS 0.2 or 0.3. Members that it does not have are not read."""

    event: EpasEvent
    client_session_id: Annotated[str, Meta(max_length=120)] | None = None
    """Of the SDK's own making; it leaves it out where the page names none."""
    at_ms: Annotated[int, Meta(gt=0, le=AT_MS_MAX)] | Annotated[float, Meta(gt=0, le=AT_MS_MAX)]
    playhead: Number | None = None
    """-1 where it is unknown; see `units` for what it counts in."""
    duration: Number | None = None
    payload: dict[str, Any] | None = None


class EpasAnswer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"client_session_id": "sessionId", "heartbeat_interval_ms": "heartbeatInterval"},
):
    """200: the event is durable. `init` is told the interval, the others that they are valid."""

    client_session_id: str
    heartbeat_interval_ms: int | msgspec.UnsetType = msgspec.UNSET
    valid: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class EpasProblem(Problem, frozen=True, kw_only=True, rename={"client_session_id": "sessionId"}):
    """A problem of ours with the members of an EPAS refusal beside."""

    client_session_id: str | Literal[-1]
    message: str
    valid: Literal[False]


report_decoder: Final[codec.Decoder[EpasReport]] = codec.Decoder(EpasReport)
