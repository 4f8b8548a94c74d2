"""Policies by name, and sessions of many traces with one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from agents.bitrate.controller import slack_of
from agents.bitrate.population import Population
from infra.bench.abr.baselines import Bola, BufferBased, Dynamic, Rate
from infra.bench.abr.mpc import ModelPredictive
from infra.bench.abr.player import Policy, Score, score, stream
from infra.bench.abr.players import Late, delivered_over
from infra.bench.abr.product import Product
from infra.bench.abr.trace import Trace
from infra.bench.abr.video import Video

PRODUCT: Final = "playhead"
BASELINES: Final[dict[str, Callable[[], Policy]]] = {
    "rate": Rate,
    "bba": BufferBased,
    "bola": Bola,
    "dynamic": Dynamic,
    "fastmpc": lambda: ModelPredictive(is_robust=False),
    "robustmpc": lambda: ModelPredictive(is_robust=True),
}
NAMES: Final = (PRODUCT, *BASELINES)


def make_policy(name: str, population: Population, over: str | None) -> tuple[Policy, list[float]]:
    """The policy of that name, and the list that its decisions' seconds go to (the product's).

    `over` is the player that it makes the ceilings of; None: it is in full control.
    """
    if name == PRODUCT:
        product = Product(population, slack_of(over or ""))
        return product, product.decision_s
    return BASELINES[name](), []


def as_delivered(policy: Policy, over: str | None, delay: int) -> Policy:
    """The policy as a ceiling over a player, or in full control `delay` reports late."""
    if over is not None:
        return delivered_over(over, policy)
    return Late(policy, delay) if delay else policy


def score_all(traces: Iterable[Trace], video: Video, policy: Policy) -> list[Score]:
    """Stream each trace once."""
    return [score(trace.name, stream(trace, video, policy), video) for trace in traces]
