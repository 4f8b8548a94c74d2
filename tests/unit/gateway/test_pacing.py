"""The pace of licenses against an agent that answers so many a second, one after the other."""

from __future__ import annotations

import heapq
from contextlib import AbstractContextManager, ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pacing import ARRIVING_S_MAX, OPEN_MAX, OPEN_MIN, OPEN_START, QUICK_MS, Pace
from gateway.problems import ProblemError


class Agent:
    """Takes `cost_ms` for each answer; asked at fixed moments, refused ones are not asked again."""

    def __init__(self, cost_ms: float) -> None:
        self.now_s = 0.0
        self.heard_ms: list[float] = []
        self.pace = Pace(self.heard_ms.append, monotonic=lambda: self.now_s)
        self.latencies_ms: list[float] = []
        self.refused = 0
        self._cost_s = cost_ms / 1000
        self._free_s = 0.0
        self._open: list[tuple[float, int, AbstractContextManager[None]]] = []

    def ask(self, per_s: float, seconds: float) -> None:
        """At that rate for so long; then the open ones are answered."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self._answer_until(self.now_s)
            question = self.pace.question()
            try:
                question.__enter__()
            except ProblemError:
                self.refused += 1
            else:
                self._free_s = max(self._free_s, self.now_s) + self._cost_s
                self.latencies_ms.append((self._free_s - self.now_s) * 1000)
                heapq.heappush(self._open, (self._free_s, len(self.latencies_ms), question))
            self.now_s += 1 / per_s
        self._answer_until(float("inf"))

    def _answer_until(self, at_s: float) -> None:
        now_s = self.now_s
        while self._open and self._open[0][0] <= at_s:
            self.now_s, _, question = heapq.heappop(self._open)
            question.__exit__(None, None, None)
        self.now_s = now_s if at_s < float("inf") else max(now_s, self.now_s)


@settings(max_examples=15)
@given(st.floats(0.5, 3.0), st.floats(2.0, 20.0))
def test_what_comes_in_is_answered_in_time_and_the_agent_has_enough_to_do(
    cost_ms: float, times: float
) -> None:
    agent = Agent(cost_ms)
    agent.ask(times * 1000 / cost_ms, 5)
    agent.latencies_ms.clear()
    agent.ask(times * 1000 / cost_ms, 5)
    ordered = sorted(agent.latencies_ms)
    assert ordered[int(0.999 * len(ordered))] <= 2.1 * QUICK_MS
    assert len(ordered) >= 0.95 * 5 * 1000 / cost_ms


def test_an_agent_that_is_quick_is_never_refused_anything() -> None:
    agent = Agent(1.0)
    agent.ask(900, 20)
    assert agent.refused == 0
    assert agent.heard_ms == pytest.approx(agent.latencies_ms)


def test_an_agent_that_is_slow_for_a_few_keeps_its_pace() -> None:
    agent = Agent(QUICK_MS * 3)
    agent.ask(1, 60)
    assert agent.refused == 0
    assert agent.pace.open_max == OPEN_START


def test_after_a_pause_of_the_agent_the_pace_comes_back() -> None:
    agent = Agent(1.0)
    agent._free_s = 3.0  # it is away for three seconds
    agent.ask(500, 3)
    assert agent.refused > 0
    assert agent.pace.open_max < OPEN_START
    agent.ask(500, 60)
    assert agent.pace.open_max >= OPEN_START


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 3000)), max_size=8))
def test_the_pace_keeps_its_bounds(loads: list[tuple[float, int]]) -> None:
    agent = Agent(1.0)
    for cost_ms, per_s in loads:
        agent._cost_s = cost_ms / 1000
        agent.ask(per_s, 0.3)
        assert OPEN_MIN <= agent.pace.open_max <= OPEN_MAX
        assert agent.pace.open_count == 0


def test_too_many_are_told_so() -> None:
    pace = Pace(lambda _: None)
    with ExitStack() as stack:
        for _ in range(OPEN_START):
            stack.enter_context(pace.question())
        assert not pace.let_in()
        with pytest.raises(ProblemError, match="overloaded") as refused, pace.question():
            pass
    assert refused.value.problem.status == 503
    assert refused.value.headers["Retry-After"]
    assert pace.let_in()


def test_a_question_that_fails_is_over() -> None:
    pace = Pace(lambda _: None)
    with pytest.raises(ZeroDivisionError), pace.question():
        raise ZeroDivisionError
    assert pace.open_count == 0


def test_who_was_let_in_counts_until_it_asks_or_leaves() -> None:
    now_s = 0.0
    pace = Pace(lambda _: None, monotonic=lambda: now_s)
    assert sum(pace.let_in() for _ in range(OPEN_START + 50)) == OPEN_START
    with pace.question():
        assert not pace.let_in(), "it is open now instead of arriving"
    assert pace.let_in()
    assert not pace.let_in()
    pace.leave()
    assert pace.let_in(), "one of them had nothing to ask"
    assert not pace.let_in()
    now_s += ARRIVING_S_MAX + 0.01
    assert sum(pace.let_in() for _ in range(OPEN_START + 50)) == OPEN_START
