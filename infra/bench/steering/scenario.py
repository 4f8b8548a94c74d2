"""What happens to whom: a scenario, as its file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class SimulatedCdn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CDN with edges in regions; in a region that is not named it has none."""

    name: Name
    region_capacity_mbps: dict[str, NotNegative]
    price_per_gb: NotNegative = 0.0
    commit_mbps: NotNegative = 0.0
    weight: NotNegative = 1.0
    """Of static weights and of the first CDN that client-side failover starts with."""


class Crowd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Viewers of a region who come evenly within a time and stay to the end, or until they go."""

    region: Name
    viewers: Annotated[int, Meta(ge=1, le=200_000)]
    networks: Annotated[int, Meta(ge=1, le=100)] = 2
    access_kbps: Positive = 25_000.0
    """Median of their access lines."""
    access_spread: NotNegative = 0.6
    """Standard deviation of the logarithm; a line itself varies over time by a third of it."""
    from_s: NotNegative = 0.0
    joining_s: NotNegative = 60.0
    to_s: NotNegative | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CDN carries only a part of its capacity for a while; none of it: requests fail."""

    cdn: Name
    from_s: NotNegative
    to_s: NotNegative
    region: str = ""
    """Empty: everywhere."""
    capacity_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    name: Name
    duration_s: Annotated[int, Meta(ge=60, le=86_400)]
    cdns: Annotated[tuple[SimulatedCdn, ...], Meta(min_length=1, max_length=8)]
    crowds: Annotated[tuple[Crowd, ...], Meta(min_length=1)]
    faults: tuple[Fault, ...] = ()
    seed: int = 1
    ladder_kbps: tuple[Positive, ...] = (400.0, 900.0, 1800.0, 3200.0, 5500.0, 8000.0)
    """Lowest first."""
    segment_s: Annotated[int, Meta(ge=1, le=20)] = 4
    buffer_s: Positive = 24.0
    traces: str = ""
    """Folder of *.csv (`t_seconds,throughput_kbps`) beside the scenario's file that access lines
    follow, scaled to their medians; empty: synthetic lines."""


def read_scenario(path: Path) -> Scenario:
    """Raises OSError, or msgspec.DecodeError where the file is none."""
    return msgspec.json.decode(path.read_bytes(), type=Scenario)
