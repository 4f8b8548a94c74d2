"""Made-up watches: viewers who go through lists, each beginning somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from agents.recommendation.blend import HISTORY_TITLES_MAX, Blend
from agents.recommendation.model import Context
from agents.recommendation.ridge import solve
from tests.builders import NOW_MS


class Play(NamedTuple):
    """One watch."""

    who: str
    content_id: str


def list_plays(
    viewers: int, titles: int, length: int, *, seed: int, noise: float = 0.2
) -> Iterator[Play]:
    """Each viewer watches the next title of a list, or now and then any; never one twice."""
    rng = np.random.default_rng(seed)
    seen: list[list[int]] = [[int(rng.integers(titles))] for _ in range(viewers)]
    for _ in range(length):
        for viewer in rng.permutation(viewers).tolist():
            title = seen[viewer][-1]
            yield Play(f"p{viewer}", f"t{title}")
            following = (title + 1) % titles
            while following in seen[viewer] or rng.random() < noise:
                following = int(rng.integers(titles))
            seen[viewer].append(following)


def context_of(plays: list[Play], who: str) -> Context:
    """The context of one who watched these."""
    history = [play.content_id for play in plays if play.who == who][::-1]
    return Context(tuple(history), who)


def learned(plays: list[Play], model: Blend | None = None, *, solves: bool = True) -> Blend:
    """A model that learned these, one a second, and solved when it was due."""
    model = model or Blend()
    histories: dict[str, list[str]] = {}
    for number, play in enumerate(plays):
        history = histories.setdefault(play.who, [])
        context = Context(tuple(history[::-1][:HISTORY_TITLES_MAX]), play.who)
        model.learn(context, play.content_id, 1.0, NOW_MS + 1_000 * number)
        history.append(play.content_id)
        if solves and model.is_solve_due:
            model.adopt(solve(model.snapshot()))
    return model
