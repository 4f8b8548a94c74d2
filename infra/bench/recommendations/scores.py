"""The scores of ranked lists: where the title that was watched next stood in them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

COLD_EVENTS: int = 5
"""With fewer earlier events a viewer is new."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """One run; names as other recommenders report them."""

    n: int
    hr_10: float = msgspec.field(name="hr@10")
    ndcg_10: float = msgspec.field(name="ndcg@10")
    recall_20: float = msgspec.field(name="recall@20")
    mrr_20: float = msgspec.field(name="mrr@20")
    coverage_10: float = msgspec.field(name="coverage@10")
    """Share of all titles that stood in any top 10."""
    cold_ndcg_10: float = msgspec.field(name="cold_ndcg@10")
    """Of viewers with fewer than 5 earlier events; 0 where there are none."""
    cold_n: int
    update_us_p50: float
    update_us_p99: float
    recommend_ms_p50: float
    recommend_ms_p99: float


class Tally:
    """What was ranked so far."""

    def __init__(self, titles: int) -> None:
        self._ranks: list[float] = []
        self._is_cold: list[bool] = []
        self._shown = np.zeros(titles, dtype=np.bool_)

    def add(
        self, scores: npt.NDArray[np.float32], target: int, top: Sequence[int], earlier: int
    ) -> None:
        """One list: all titles' scores, the title watched, the first ten, the viewer's past."""
        score = scores[target]
        if np.isneginf(score):
            rank = np.inf
        else:
            above = int((scores > score).sum())
            rank = above + (int((scores == score).sum()) - 1) / 2
        self._ranks.append(rank)
        self._is_cold.append(earlier < COLD_EVENTS)
        self._shown[list(top)] = True

    def scores(self, update_ns: Sequence[int], recommend_ns: Sequence[int]) -> Scores:
        """All of it, with the times each took."""
        rank = np.array(self._ranks)
        is_cold = np.array(self._is_cold, dtype=np.bool_)
        gain = np.where(rank < 10, 1.0 / np.log2(rank + 2.0), 0.0)
        update_us = np.percentile(np.array(update_ns or [0]) / 1e3, [50, 99])
        recommend_ms = np.percentile(np.array(recommend_ns or [0]) / 1e6, [50, 99])
        return Scores(
            n=len(rank),
            hr_10=_mean(rank < 10),
            ndcg_10=_mean(gain),
            recall_20=_mean(rank < 20),
            mrr_20=_mean(np.where(rank < 20, 1.0 / (rank + 1.0), 0.0)),
            coverage_10=float(self._shown.mean()),
            cold_ndcg_10=_mean(gain[is_cold]),
            cold_n=int(is_cold.sum()),
            update_us_p50=float(update_us[0]),
            update_us_p99=float(update_us[1]),
            recommend_ms_p50=float(recommend_ms[0]),
            recommend_ms_p99=float(recommend_ms[1]),
        )


def _mean(values: npt.NDArray[np.bool_] | npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
