"""Whatever is presented in whatever order: one living token per family, reuse ends it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.account.outcome import Grant
from tests.unit.account.story import Story, token_of


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=25))
def test_a_token_is_taken_only_if_it_is_its_familys_newest_and_none_was_reused(
    moves: list[tuple[int, int]],
) -> None:
    story = Story()
    story.sign_up()
    families = [[token_of(story.sign_in())] for _ in range(3)]
    ended: set[int] = set()
    for which, back in moves:
        tokens = families[which]
        token = tokens[-1 - back % len(tokens)]
        answer = story.refresh(token).answer
        should_work = token == tokens[-1] and which not in ended
        assert isinstance(answer, Grant) == should_work
        if isinstance(answer, Grant):
            tokens.append(answer.refresh_token.text())
        elif token != tokens[-1]:
            ended.add(which)


@given(st.text(max_size=100))
def test_no_text_crashes_refresh(text: str) -> None:
    story = Story()
    story.sign_up()
    assert not isinstance(story.refresh(text).answer, Grant)
