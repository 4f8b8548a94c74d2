"""Which policy sets a session's ceiling, and what of its decisions reaches the player: pure."""

from __future__ import annotations

from typing import Final, get_args

from msgspec.structs import replace

from agents.bitrate.controller import Choice
from agents.bitrate.state import SessionState
from schemas.bitrate import BitrateDecision, BitrateFacts, BitratePolicy
from schemas.sessions import Session
from streams.experiments import Experiments, arms_of, policy_of

PRODUCT: Final[BitratePolicy] = "stochastic-mpc"
VERSIONS: Final[dict[BitratePolicy, str]] = {
    "stochastic-mpc": "stochastic-mpc-1",
    "robust-rate": "robust-rate-1",
    "player": "player-1",
    "shadow": "stochastic-mpc-1",
}
"""Of the rule that decides."""


def policy_for(experiments: Experiments, session_id: str) -> BitratePolicy:
    """What a running experiment says; the product's where none does, or none that is known."""
    said = policy_of(experiments, "bitrate", session_id)
    known: tuple[BitratePolicy, ...] = get_args(BitratePolicy)
    return next((policy for policy in known if policy == said), PRODUCT)


def put_under(state: SessionState, policy: BitratePolicy) -> SessionState:
    """The state under the policy: another one's ceiling is not what this one decided."""
    return state if state.policy == policy else replace(state, policy=policy, ceiling_kbps=None)


def lift(state: SessionState, now_ms: int) -> tuple[SessionState, Choice | None]:
    """The state left to the player; where another policy's ceiling still holds, it is taken off."""
    is_held = state.ceiling_kbps is not None and state.policy != "shadow"
    state = put_under(state, "player")
    if not is_held:
        return state, None
    state = replace(state, version=state.version + 1, ceiling_kbps=None, decided_at_ms=now_ms)
    return state, Choice(
        version=state.version, ceiling_kbps=None, reason="policy-changed", facts=BitrateFacts()
    )


def decision_of(
    session: Session,
    choice: Choice,
    policy: BitratePolicy,
    experiments: Experiments,
    *,
    decided_at_ms: int,
    source: tuple[str, int, int],
) -> BitrateDecision:
    """As it is published; `source`: topic, partition and offset of the record that changed it."""
    is_applied = policy != "shadow"
    return BitrateDecision(
        session_id=session.session_id,
        content_id=session.content_id,
        version=choice.version,
        ceiling_kbps=choice.ceiling_kbps if is_applied else None,
        shadow_ceiling_kbps=None if is_applied else choice.ceiling_kbps,
        rendition_id=choice.rendition_id if is_applied else None,
        height=choice.height if is_applied else None,
        reason=choice.reason,
        facts=choice.facts,
        policy=policy,
        policy_version=VERSIONS[policy],
        arms=arms_of(experiments, session.session_id),
        decided_at_ms=decided_at_ms,
        source_topic=source[0],
        source_partition=source[1],
        source_offset=source[2],
    )
