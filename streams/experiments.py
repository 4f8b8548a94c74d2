"""Which arm of an experiment a session belongs to: pure, the same for whoever asks.

An arm follows from the experiment and the session's id alone, when it was opened included
(UUIDv7), so that gateways and agents agree without asking each other, and a session keeps its arm
whatever becomes of the experiment. How it is treated may change: a stopped arm's as the control's.
"""

from __future__ import annotations

from collections.abc import ItemsView
from hashlib import blake2b
from typing import Final, Protocol
from uuid import UUID

from msgspec.structs import replace

from schemas.experiments import Arm, Experiment, Subject
from schemas.ids import uuid7_at_ms

NOTICE_MS: Final = 5_000
"""From publishing an experiment to its start: by then everybody has read it."""
_HASH_BYTES: Final = 6
"""As many as a float holds exactly."""


class Experiments(Protocol):
    """All that are known, by name: a view of `experiments.v1`."""

    def items(self) -> ItemsView[str, Experiment]:
        """Every name and its experiment."""


def draw(experiment: Experiment, session_id: str) -> Arm | None:
    """The session's arm; None where it takes no part."""
    opened_at_ms = _opened_at_ms(session_id)
    if opened_at_ms is None or opened_at_ms < experiment.started_at_ms:
        return None
    if experiment.stopped_at_ms is not None and opened_at_ms >= experiment.stopped_at_ms:
        return None
    place = place_of(experiment.salt, session_id)
    for arm in experiment.arms:
        place -= arm.share
        if place < 0:
            is_stopped = arm.stopped_at_ms is not None and opened_at_ms >= arm.stopped_at_ms
            return experiment.arms[0] if is_stopped else arm
    return None


def place_of(salt: str, session_id: str) -> float:
    """Where the session stands in [0, 1): evenly spread, independent between salts."""
    digest = blake2b(session_id.encode(), key=salt.encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big") / 256**_HASH_BYTES


def arms_of(experiments: Experiments, session_id: str) -> dict[str, str]:
    """The session's arms by experiment, sorted by its name."""
    drawn = ((name, draw(each, session_id)) for name, each in experiments.items())
    return {name: arm.name for name, arm in sorted(drawn, key=_name_of) if arm is not None}


def policy_of(experiments: Experiments, subject: Subject, session_id: str) -> str | None:
    """What treats the session now; None where no experiment says so."""
    for experiment in running(experiments):
        arm = draw(experiment, session_id) if experiment.subject == subject else None
        if arm is not None:
            return experiment.arms[0].policy if arm.stopped_at_ms is not None else arm.policy
    return None


def stop(experiment: Experiment, now_ms: int, reason: str) -> Experiment:
    """The experiment from now on without any session."""
    return replace(experiment, at_ms=now_ms, stopped_at_ms=now_ms, stopped_reason=reason)


def stop_arms(experiment: Experiment, reasons: dict[str, str], now_ms: int) -> Experiment:
    """Without these arms, by name and why; the control alone is no experiment: then it stops."""
    arms = tuple(
        replace(arm, stopped_at_ms=now_ms, stopped_reason=reasons[arm.name])
        if arm.name in reasons and arm.stopped_at_ms is None
        else arm
        for arm in experiment.arms
    )
    changed = replace(experiment, arms=arms, at_ms=now_ms)
    if all(arm.stopped_at_ms is not None for arm in arms[1:]):
        return stop(changed, now_ms, "every arm beside the control was stopped")
    return changed


def running(experiments: Experiments) -> list[Experiment]:
    """Those that no one has stopped."""
    return [each for _, each in experiments.items() if each.stopped_at_ms is None]


def _name_of(drawn: tuple[str, Arm | None]) -> str:
    return drawn[0]


def _opened_at_ms(session_id: str) -> int | None:
    """None where the id is no UUIDv7: sessions of others have no time that we know."""
    try:
        value = UUID(session_id)
    except ValueError:
        return None
    return uuid7_at_ms(value) if value.version == 7 else None
