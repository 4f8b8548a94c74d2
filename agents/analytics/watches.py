"""What a session means for its profile: the watch steps that its summary implies."""

from __future__ import annotations

from typing import Final, Literal

from schemas.folds import Told
from schemas.watching import SessionSummary, Watch

PROGRESS_MS: Final = 30_000
PROGRESS_MS_MIN: Final = 5_000
PROGRESS_RATIO: Final = 0.1
COMPLETED_RATIO: Final = 0.9

StepName = Literal["started", "progressed", "completed", "abandoned"]


def due_watches(
    summary: SessionSummary, told: Told, duration_ms: int | None, *, is_gone: bool
) -> tuple[list[Watch], Told]:
    """The steps not told yet, and what is told once they are; `is_gone`: it fell silent for good.

    `progressed` comes for every 30 s of media shown, or 10 % of a shorter content. Steps are a
    function of the summary and of what was told, so a repetition has the same identity.
    """
    if summary.played_ms == 0 and summary.max_playhead_ms is None:
        return [], told  # no frame was shown
    if not summary.profile_id or not summary.content_id:
        return [], told
    due: list[Watch] = []
    ratio = summary.completion_ratio or 0.0
    if not told.is_started:
        due.append(_watch(summary, "started"))
    bucket = summary.played_ms // _interval_ms(duration_ms)
    if bucket > told.bucket:
        due.append(_watch(summary, "progressed", bucket))
    is_completed = told.is_completed or ratio >= COMPLETED_RATIO
    if is_completed and not told.is_completed:
        due.append(_watch(summary, "completed"))
    is_over = is_gone or summary.ended_at_ms is not None
    is_abandoned = told.is_abandoned or (is_over and not is_completed)
    if is_abandoned and not told.is_abandoned:
        due.append(_watch(summary, "abandoned"))
    now_told = Told(
        is_started=True,
        bucket=max(bucket, told.bucket),
        is_completed=is_completed,
        is_abandoned=is_abandoned,
    )
    return due, (now_told if due else told)


def _interval_ms(duration_ms: int | None) -> int:
    if duration_ms is None:
        return PROGRESS_MS
    return min(PROGRESS_MS, max(PROGRESS_MS_MIN, int(duration_ms * PROGRESS_RATIO)))


def _watch(summary: SessionSummary, step: StepName, bucket: int = 0) -> Watch:
    return Watch(
        profile_id=summary.profile_id,
        account_id=summary.account_id,
        content_id=summary.content_id,
        session_id=summary.session_id,
        region=summary.region,
        os=summary.os,
        step=step,
        bucket=bucket,
        playhead_ms=summary.exit_playhead_ms or 0,
        completion_ratio=summary.completion_ratio or 0.0,
        at_ms=summary.last_event_at_ms,
    )


def is_settled(summary: SessionSummary, told: Told) -> bool:
    """Whether silence would tell nothing new."""
    return summary.ended_at_ms is not None or told.is_abandoned or told.is_completed
