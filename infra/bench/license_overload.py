"""Ten times of what the machine licenses: what is still decided, how fast, and what of the rest.

Who asks has a core of its own, as in `overload`.
"""

from __future__ import annotations

import msgspec

from infra.bench.licenses import ask, license_plan
from infra.bench.load import percentile
from infra.bench.overload import LICENSE_MS_MAX, TIMES, Cores
from infra.sandbox import Sandbox

CALM_CONNECTIONS = 48
WARM_UP_S = 5.0
PLAYERS = 4_000
"""Each asks again after a while: who asks at once is made to wait (`gateway/connections.py`)."""


class LicenseOverloadFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Licenses a second; milliseconds as the players saw them."""

    seconds: float
    deployment_cores: int
    calm_per_s: float
    """As many as are answered to CALM_CONNECTIONS players that ask without a pause."""
    offered_of_calm: float
    admitted_per_s: float
    admitted_of_calm: float
    admitted_p50_ms: float
    admitted_p99_ms: float
    admitted_within_250_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    others: str
    """Statuses beside 200 and 503, and how many."""
    asker_lag_p99_ms: float


async def measure_license_overload(
    sandbox: Sandbox, cores: Cores, seconds: float
) -> LicenseOverloadFigure:
    """The deployment runs on its cores already."""
    plan = msgspec.structs.replace(
        await license_plan(sandbox, 256), core=cores.generator, connections=CALM_CONNECTIONS
    )
    await ask(plan, seconds=WARM_UP_S)
    calm = await ask(plan, seconds=min(30.0, seconds))
    calm_per_s = len(calm.latencies_ms) / calm.took_s
    over = await ask(plan, seconds=seconds, rate_per_s=TIMES * calm_per_s, players=PLAYERS)
    admitted_per_s = len(over.latencies_ms) / over.took_s
    in_time = sum(took <= LICENSE_MS_MAX for took in over.latencies_ms)
    others = {code: n for code, n in over.statuses.items() if code not in {200, 503}}
    return LicenseOverloadFigure(
        seconds=seconds,
        deployment_cores=len(cores.deployment),
        calm_per_s=calm_per_s,
        offered_of_calm=over.asked / over.took_s / calm_per_s,
        admitted_per_s=admitted_per_s,
        admitted_of_calm=admitted_per_s / calm_per_s,
        admitted_p50_ms=over.percentile_ms(0.5),
        admitted_p99_ms=over.percentile_ms(0.99),
        admitted_within_250_ms=in_time / max(1, len(over.latencies_ms)),
        refused_p50_ms=percentile(list(over.refused_ms), 0.5),
        refused_p99_ms=percentile(list(over.refused_ms), 0.99),
        others=" ".join(f"{code}:{n}" for code, n in sorted(others.items())),
        asker_lag_p99_ms=over.lag_p99_ms,
    )
