"""Linear programs, put together row by row and solved by HiGHS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import highspy
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ANY: Final = float("inf")
SOLVE_S_MAX: Final = 2.0
"""A plan that takes longer is worth nothing when it comes."""


class LinearProgram:
    """Columns at a cost each, rows that bound sums of them; `solve` makes the cost least."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._bounds: list[tuple[float, float]] = []
        self._rows: list[tuple[float, float]] = []
        self._starts = [0]
        self._indices: list[int] = []
        self._values: list[float] = []

    def add_column(self, cost: float, *, lower: float = 0.0, upper: float = ANY) -> int:
        """Its number."""
        assert lower <= upper
        self._costs.append(cost)
        self._bounds.append((lower, upper))
        return len(self._costs) - 1

    def add_row(
        self, values: Mapping[int, float], *, lower: float = -ANY, upper: float = ANY
    ) -> None:
        """A sum of columns, each times its value, that stays within the bounds."""
        assert lower <= upper
        self._rows.append((lower, upper))
        self._indices += values.keys()
        self._values += values.values()
        self._starts.append(len(self._indices))

    def solve(self) -> Floats | None:
        """The columns' values; None where nothing is within all bounds, or in time."""
        highs = highspy.Highs()
        highs.setOptionValue("log_to_console", False)
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("time_limit", SOLVE_S_MAX)
        highs.passModel(self._model())
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.asarray(highs.getSolution().col_value, dtype=np.float64)

    def _model(self) -> highspy.HighsLp:
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self._costs), len(self._rows)
        model.col_cost_ = np.array(self._costs)
        lower, upper = np.array(self._bounds).T
        model.col_lower_, model.col_upper_ = lower, upper
        row_lower, row_upper = np.array(self._rows).T
        model.row_lower_, model.row_upper_ = row_lower, row_upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.array(self._starts)
        model.a_matrix_.index_ = np.array(self._indices)
        model.a_matrix_.value_ = np.array(self._values)
        return model
