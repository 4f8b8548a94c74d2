"""Starts and stops experiments, and tells of those that were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from msgspec.structs import replace

from infra.deployment import Deployment
from infra.operations.log_access import publishing, read_newest
from infra.operations.operator import require_keys
from schemas import codec
from schemas.bitrate import BitratePolicy
from schemas.errors import InvalidMessageError, PlayheadError
from schemas.experiments import Arm, Experiment, Subject
from streams.experiments import running, stop, stop_arms
from streams.topics import EXPERIMENTS

POLICIES: Final[dict[Subject, tuple[str, ...]]] = {"bitrate": get_args(BitratePolicy)}
"""What an arm may be treated by."""
WHOLE: Final = 1 + 1e-9
"""The most that shares may sum up to, as floats add."""


class ExperimentError(PlayheadError):
    """It cannot be started or stopped; the message says why."""


def parse_arm(text: str) -> Arm:
    """`name=policy:share`. Raises InvalidMessageError."""
    name, _, rest = text.partition("=")
    policy, _, share = rest.rpartition(":")
    try:
        return Arm(name=name, policy=policy, share=float(share))
    except ValueError as error:
        raise InvalidMessageError("arm", f"{text!r} is not NAME=POLICY:SHARE") from error


def require_sound(experiment: Experiment) -> None:
    """Raises InvalidMessageError where it could not be run, or its results could not be read."""
    codec.Decoder(Experiment).decode(codec.encode(experiment))
    arms, policies = experiment.arms, POLICIES[experiment.subject]
    for arm in arms:
        if arm.policy not in policies:
            raise InvalidMessageError(
                "policy", f"{arm.name} follows {arm.policy}; there are {', '.join(policies)}"
            )
    if len({arm.name for arm in arms}) < len(arms):
        raise InvalidMessageError("arm", "two arms have the same name")
    if sum(arm.share for arm in arms) > WHOLE:
        raise InvalidMessageError("share", "the arms' shares sum up to more than 1")


def require_room(experiment: Experiment, known: Sequence[Experiment]) -> None:
    """Raises ExperimentError where its name was taken, or another one runs on the same subject."""
    if any(each.name == experiment.name for each in known):
        raise ExperimentError(
            f"{experiment.name} was begun before, and its results stay: give it another name"
        )
    for each in running({other.name: other for other in known}):
        if each.subject == experiment.subject:
            raise ExperimentError(
                f"{each.name} runs on {each.subject}: `playhead experiment stop {each.name}` first"
            )


def require_arm(experiment: Experiment, name: str) -> None:
    """Raises ExperimentError where it is none that runs beside the control; empty is no arm."""
    going_on = [arm.name for arm in experiment.arms[1:] if arm.stopped_at_ms is None]
    if name and name not in going_on:
        raise ExperimentError(f"{name} does not run beside the control: {', '.join(going_on)} do")


async def read_experiments(deployment: Deployment) -> tuple[Experiment, ...]:
    """All that ever were, the latest first. Raises PlayheadError."""
    require_keys(deployment)
    known: dict[str, Experiment] = await read_newest(deployment, EXPERIMENTS)
    return tuple(sorted(known.values(), key=lambda each: -each.started_at_ms))


async def start_experiment(
    deployment: Deployment, experiment: Experiment, *, dry_run: bool
) -> None:
    """Acknowledged in the log. Raises PlayheadError."""
    require_sound(experiment)
    require_room(experiment, await read_experiments(deployment))
    if not dry_run:
        await _publish(deployment, experiment)


async def stop_experiment(
    deployment: Deployment,
    name: str,
    now_ms: int,
    *,
    by: str,
    reason: str,
    arm: str = "",
    dry_run: bool,
) -> Experiment:
    """The experiment as it is then; with `arm` only that is stopped. Raises PlayheadError."""
    known = {each.name: each for each in await read_experiments(deployment)}
    if name not in known:
        raise ExperimentError(f"no experiment is named {name}: `playhead experiment list`")
    if known[name].stopped_at_ms is not None:
        raise ExperimentError(f"{name} was stopped before: {known[name].stopped_reason}")
    require_arm(known[name], arm)
    if arm:
        stopped = stop_arms(known[name], {arm: reason}, now_ms)
    else:
        stopped = stop(known[name], now_ms, reason)
    if not dry_run:
        await _publish(deployment, replace(stopped, by=by))
    return stopped


async def _publish(deployment: Deployment, experiment: Experiment) -> None:
    async with publishing(deployment) as publisher:
        await publisher.publish(EXPERIMENTS, experiment.name, experiment)
