"""Experiments: what share of the sessions is treated by which policy: `experiments.v1`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Subject = Literal["bitrate"]
"""Whose policies are compared: the agent that follows the experiment."""
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""Of an experiment or an arm; it stands in every event of its sessions."""
ARMS_MAX: Final = 8


class Arm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A share of the sessions, and what treats them."""

    name: Name
    policy: Annotated[str, Meta(min_length=1, max_length=64)]
    """By the word of the experiment's subject."""
    share: Annotated[float, Meta(gt=0, le=1)]
    stopped_at_ms: int | None = None
    """From then on its sessions are treated as the control's, and new ones belong to it."""
    stopped_reason: str = ""


class Experiment(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="experiment",
):
    """As it is since `at_ms`. A name stands for one experiment for ever: none is begun again."""

    name: Name
    subject: Subject
    salt: Annotated[str, Meta(min_length=16, max_length=64)]
    """Of its own, so that its arms tell nothing of another experiment's."""
    arms: Annotated[tuple[Arm, ...], Meta(min_length=2, max_length=ARMS_MAX)]
    """The first is the control. What their shares leave of the whole takes no part."""
    metric: Literal["qoe"] = "qoe"
    """A column of the view `sessions`, of which more is better."""
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """The chance that an arm which does no harm is ever said to do some, over all arms."""
    by: str
    """The operator."""
    at_ms: int
    started_at_ms: int
    """Sessions opened from then on take part."""
    stopped_at_ms: int | None = None
    """Sessions opened from then on take no part, and all are treated as if there were none."""
    stopped_reason: str = ""
