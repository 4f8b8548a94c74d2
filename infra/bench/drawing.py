"""Line charts as SVG for benches whose scores run over time: equal lines give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 760
HEIGHT: Final = 380
LEFT: Final = 64
RIGHT: Final = 170
"""Room for the names of the lines."""
TOP: Final = 44
BOTTOM: Final = 52
TICKS: Final = 6
"""About so many on an axis."""
COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Told apart by color-blind readers too (Okabe and Ito 2008)."""
DASHES: Final = ("", "7 3", "2 3", "9 3 2 3")
"""The first line is solid."""

_STYLE: Final = (
    "text{font:12px sans-serif;fill:#333}.title{font-size:15px}.grid{stroke:#ddd}"
    "polyline{fill:none;stroke-width:2}"
)


class Line(NamedTuple):
    """A named line through points, by x."""

    name: str
    points: Sequence[tuple[float, float]]


class _Axis(NamedTuple):
    ticks: list[float]
    first_px: float
    last_px: float

    def px(self, value: float) -> float:
        """Where the value lies in the picture."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(self.first_px + share * (self.last_px - self.first_px), 1)


def line_chart(title: str, lines: Sequence[Line], *, x_label: str, y_label: str) -> str:
    """An SVG document; the y axis begins at 0 unless a value is below. Raises ValueError on NaN."""
    points = [point for line in lines for point in line.points]
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("only finite numbers can be drawn")
    x = _Axis(ticks([point[0] for point in points]), LEFT, WIDTH - RIGHT)
    y = _Axis(ticks([0.0, *(point[1] for point in points)]), HEIGHT - BOTTOM, TOP)
    drawn = [
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        *(_column(x, value) for value in x.ticks),
        *(_row(y, value) for value in y.ticks),
        _label(x_label, f'x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}"'),
        _label(y_label, f'transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"'),
        *(_line(line, number, x, y) for number, line in enumerate(lines)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def ticks(values: Sequence[float]) -> list[float]:
    """Two or more round numbers, evenly apart, from below the least to above the greatest."""
    lowest, highest = min(values, default=0.0), max(values, default=0.0)
    if highest <= lowest:
        highest = lowest + max(1.0, abs(lowest))
    rough = (highest - lowest) / TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * next(factor for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    return [number * step for number in range(first, last + 1)]


def _label(text: str, place: str) -> str:
    return f'<text {place} text-anchor="middle">{escape(text)}</text>'


def _column(x: _Axis, value: float) -> str:
    at = x.px(value)
    return (
        f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
    )


def _row(y: _Axis, value: float) -> str:
    at = y.px(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{value:g}</text>'
    )


def _line(line: Line, number: int, x: _Axis, y: _Axis) -> str:
    color = COLORS[number % len(COLORS)]
    dash = DASHES[number % len(DASHES)]
    path = " ".join(f"{x.px(at)},{y.px(value)}" for at, value in line.points)
    key, right = TOP + 12 + 20 * number, WIDTH - RIGHT + 14
    stroke = f'stroke="{color}" stroke-dasharray="{dash}"' if dash else f'stroke="{color}"'
    return (
        f'<polyline {stroke} points="{path}"/>'
        f'<polyline {stroke} points="{right},{key} {right + 26},{key}"/>'
        f'<text x="{right + 34}" y="{key + 4}">{escape(line.name)}</text>'
    )
