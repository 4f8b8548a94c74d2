from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from infra.bench.drawing import Line, line_chart, ticks

NUMBERS = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
LINES = st.lists(
    st.builds(
        Line,
        st.text(st.characters(categories=("L", "P", "S")), max_size=8),
        st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5),
    ),
    max_size=9,
)


@given(st.lists(NUMBERS, max_size=9))
def test_ticks_are_even_and_reach_over_all_values(values: list[float]) -> None:
    found = ticks(values)
    assert 2 <= len(found) <= 12
    step = found[1] - found[0]
    assert all(b - a == pytest.approx(step, rel=1e-6) for a, b in pairwise(found))
    assert all(found[0] <= value + 1e-6 * step for value in values)
    assert all(value <= found[-1] + 1e-6 * step for value in values)


@given(st.text(st.characters(categories=("L", "P", "S"))), LINES)
def test_a_chart_is_a_document_with_a_line_and_a_name_each(title: str, lines: list[Line]) -> None:
    drawn = line_chart(title, lines, x_label="day", y_label="share")
    root = etree.fromstring(drawn.encode())
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == title
    assert [line.name for line in lines] == texts[len(texts) - len(lines) :]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 * len(lines)
    assert drawn == line_chart(title, lines, x_label="day", y_label="share")


def test_more_stands_higher_and_later_stands_further_right() -> None:
    drawn = line_chart("t", [Line("a", [(0, 0.0), (10, 0.5)])], x_label="x", y_label="y")
    path = drawn.split('points="')[1].split('"')[0]
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in path.split())
    assert x1 < x2
    assert y1 > y2


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        line_chart("t", [Line("a", [(0, float("nan"))])], x_label="x", y_label="y")
