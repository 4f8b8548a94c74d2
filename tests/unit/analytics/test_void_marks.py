"""Which rows are void: the same whoever stores them, wherever one left off and the next began."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.analytics.decision_rows import DecisionRow
from agents.analytics.void_marks import LOOKBACK_OFFSETS, StoredDecision, VoidMarks
from schemas import codec
from schemas.licenses import LicenseDecision
from streams.chain import Chain, Standing
from tests.unit.license.test_races import SLEPT, Log, Move, play, stories


def void_offsets(decisions: list[LicenseDecision]) -> list[int]:
    """As every reader of the whole partition has it."""
    chain = Chain()
    return [
        offset
        for offset, decision in enumerate(decisions)
        if chain.follow(decision, 0, offset) is Standing.VOID
    ]


def a_row(offset: int, decision: LicenseDecision) -> DecisionRow:
    return DecisionRow(identity=str(offset), offset=offset, columns={}, value=decision)


def stored(rows: list[DecisionRow], *, were_marked: bool) -> list[StoredDecision]:
    return [
        StoredDecision(
            offset=row.offset,
            payload=codec.encode(row.value),
            is_void=were_marked and row.columns["is_void"],
        )
        for row in rows
    ]


@settings(max_examples=300)
@given(stories, st.lists(st.integers(0, 60)), st.booleans())
@example(SLEPT, [2], True)
@example(SLEPT, [3], False)
def test_rows_are_void_as_the_chain_has_it_however_often_somebody_else_goes_on(
    moves: list[Move], restarts: list[int], were_marked: bool
) -> None:
    """Also where the rows are from before void ones were marked."""
    log = Log()
    play(log, "basic", moves)
    rows = [a_row(offset, decision) for offset, decision in enumerate(log.records)]
    marks = VoidMarks()
    marks.begin([])
    for row in rows:
        if row.offset in restarts:
            before = rows[max(0, row.offset - LOOKBACK_OFFSETS) : row.offset]
            marks = VoidMarks()
            marks.begin(stored(before, were_marked=were_marked))
        marks.mark([row])
    found = [row.offset for row in rows if row.columns["is_void"]]
    assert found == void_offsets(log.records)


def test_what_is_no_decision_has_no_mark() -> None:
    marks = VoidMarks()
    marks.begin([StoredDecision(offset=0, payload=b'{"type":"of tomorrow"}', is_void=False)])
    row = DecisionRow(identity="1", offset=1, columns={}, value={"type": "of tomorrow"})
    marks.mark([row])
    assert row.columns == {}
