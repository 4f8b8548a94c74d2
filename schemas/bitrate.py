"""Bitrate decisions: a ceiling for a session and why."""

from __future__ import annotations

from typing import Literal

import msgspec

BitratePolicy = Literal["stochastic-mpc", "robust-rate", "player", "shadow"]
"""`stochastic-mpc`: the product's. `robust-rate`: the best rung below a careful estimate of the
throughput. `player`: no ceiling. `shadow`: the product's, decided and recorded, told to nobody."""


class BitrateFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the decision was made from."""

    throughput_kbps: int | None = None
    """The estimate, not one sample."""
    throughput_samples: int = 0
    buffer_length_ms: int | None = None
    playing_bitrate_kbps: int | None = None
    max_height: int = 0
    plan_max_kbps: int = 0
    ladder_kbps: tuple[int, ...] = ()
    rule: str = ""
    """`futures`: the best plan over possible futures; `rate`: the buffer was unknown or the agent
    behind; `starved`: the buffer had just run dry."""
    expected_qoe: float | None = None
    """Of a segment over the horizon, Mbit/s less stalls less changes (QoE_lin)."""
    expected_stall_ms: int | None = None
    """Over the horizon."""
    population_share: float = 0.0
    """How much of the futures other sessions gave, 0 to 1."""


class BitrateDecision(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="bitrate_decision",
):
    """The ceiling of a session from now on: `bitrate.decisions.v1`, published only on change."""

    session_id: str
    content_id: str = ""
    version: int
    """Counts up per session."""
    ceiling_kbps: int | None
    """Video and audio together; None: no ceiling."""
    shadow_ceiling_kbps: int | None = None
    """What was decided and is not applied: the policy is `shadow`, and players are told none."""
    rendition_id: str | None = None
    """The best rendition below the ceiling."""
    height: int | None = None
    reason: str
    facts: BitrateFacts
    policy: BitratePolicy = "stochastic-mpc"
    policy_version: str
    arms: dict[str, str] = {}
    """The session's, by experiment."""
    decided_at_ms: int
    source_topic: str = ""
    source_partition: int = 0
    source_offset: int = 0


class PopulationBlock(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="population_block"
):
    """Some of the situations that a worker remembers of its sessions: `bitrate.population.v1`.

    Nothing in it tells whose they were.
    """

    worker: str
    memory: str
    """`situations`, or `starts` of sessions."""
    number: int
    """Of the block within that memory, from 0."""
    layout: str
    """Of a row; a worker reads only its own."""
    rows: bytes
    """Rows of fixed size: features, curve (both float32), network, device and edge as CRC-32, hour
    of the day, time in ms (all int64), little-endian."""
