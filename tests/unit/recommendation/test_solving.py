from __future__ import annotations

import asyncio

from agents.recommendation.blend import Blend
from agents.recommendation.ridge import RidgeWeights
from agents.recommendation.solving import Solver
from tests.unit.recommendation.plays import learned, list_plays


class Adopting(Blend):
    """Says when it took a solve."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()

    def adopt(self, weights: RidgeWeights) -> None:
        super().adopt(weights)
        self.taken.set()


async def test_a_solve_runs_beside_the_loop_once_it_is_due() -> None:
    model = Adopting()
    learned(list(list_plays(60, 80, 50, seed=1)), model, solves=False)
    assert model.is_solve_due
    solver = Solver(lambda: model, look_s=0.001)
    solver.start()
    try:
        await asyncio.wait_for(model.taken.wait(), 60)
    finally:
        await solver.stop()
    assert not model.is_solve_due


async def test_a_solver_stops_whether_it_began_or_not() -> None:
    solver = Solver(Blend)
    await solver.stop()
    solver.start()
    await solver.stop()
    await solver.stop()
