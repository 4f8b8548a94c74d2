"""What a profile watched and said: its history, where it left each title, what it likes.

Folded from `watches.v1` and `title.feedback.v1`; a record that comes twice changes nothing, and one
that comes late does not move a resume point back.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, Literal

import msgspec

from agents.recommendation.blend import HISTORY_TITLES_MAX
from schemas.recommendations import TitleFeedback
from schemas.watching import Watch

TITLES_MAX: Final = 2_000
"""Titles remembered per profile; the longest untouched are forgotten first."""
FEEDBACK_TITLES_MAX: Final = 2_000
"""Titles that a profile may say something of."""
RESUME_MS_MIN: Final = 10_000
"""Less was only a look."""
COMPLETED_RATIO: Final = 0.9
REJECTED_RATIO_MAX: Final = 0.1
"""Left for good before this share: it was not what the viewer wanted."""

Step = Literal["started", "progressed", "completed", "abandoned"]

STEP_WEIGHTS: Final[dict[Step, float]] = {
    "started": 0.4,
    "abandoned": 0.0,
    "progressed": 0.3,
    "completed": 0.5,
}
"""What a step adds to the strength of a watch: 0.4 tried, 0.7 watched, 1.2 watched to the end."""


class WatchedTitle(msgspec.Struct, kw_only=True):
    """A profile and a title."""

    playhead_ms: int
    at_ms: int
    session_id: str
    is_completed: bool = False
    """Ever: it is not offered again."""
    is_at_end: bool = False
    """The last time."""
    is_rejected: bool = False
    """Left soon after its beginning, the last time, and never watched to the end."""
    steps: frozenset[str] = frozenset()
    """Of the last session, so that each step is learned once."""


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What the model learns of one watch."""

    history: tuple[str, ...]
    content_id: str
    weight: float
    at_ms: int
    region: str
    os: str


class ProfileState(msgspec.Struct, kw_only=True):
    """One profile, changed in place by the functions below alone."""

    titles: dict[str, WatchedTitle] = {}
    """Last touched last."""
    feedback: dict[str, TitleFeedback] = {}
    """By title, said last last."""
    is_personalized: bool = True
    """False: it has no history; where it left a title and what it hides is known all the same."""

    def history(self) -> tuple[str, ...]:
        """The last titles watched, newest first."""
        if not self.is_personalized:
            return ()
        return tuple(islice(reversed(self.titles), HISTORY_TITLES_MAX))

    def taste(self) -> tuple[str, ...]:
        """The history as the profile corrects it, newest first.

        What it put on its list or a thumb up on counts as watched then, which is all that is known
        of a profile that watched nothing; what it put a thumb down on or hid does not count.
        """
        if not self.feedback or not self.is_personalized:
            return self.history()
        at_ms = {key: self.titles[key].at_ms for key in self.history()}
        for key, said in self.feedback.items():
            if self.is_disliked(key):
                at_ms.pop(key, None)
            else:
                at_ms[key] = max(at_ms.get(key, 0), said.at_ms)
        return tuple(sorted(at_ms, key=at_ms.__getitem__, reverse=True))[:HISTORY_TITLES_MAX]

    def liked(self) -> tuple[str, ...]:
        """The taste without what was left soon after its beginning, and never praised."""
        return tuple(
            key for key in self.taste() if key in self.feedback or not self.titles[key].is_rejected
        )

    def hidden(self) -> tuple[str, ...]:
        """What it never wants to see."""
        return tuple(key for key, said in self.feedback.items() if said.is_hidden)

    def favorites(self) -> tuple[str, ...]:
        """Its list, what was put there last first."""
        newest_first = reversed(self.feedback.items())
        return tuple(key for key, said in newest_first if said.is_favorite)

    def is_disliked(self, content_id: str) -> bool:
        """Whether it hid it or put a thumb down on it: nothing like it is looked for."""
        said = self.feedback.get(content_id)
        return said is not None and (said.is_hidden or said.thumb == "down")

    def is_completed(self, content_id: str) -> bool:
        """Whether it was ever watched to the end."""
        watched = self.titles.get(content_id)
        return watched is not None and watched.is_completed

    def resume_ms(self, content_id: str) -> int:
        """Where to go on; 0 where it never began, was only looked at, or ended."""
        watched = self.titles.get(content_id)
        if watched is None or watched.is_at_end or watched.playhead_ms < RESUME_MS_MIN:
            return 0
        return watched.playhead_ms


def begin_anew(profile: ProfileState, since_ms: int) -> set[str]:
    """Forget what is from before; the titles of which it had said something then."""
    profile.titles = {key: each for key, each in profile.titles.items() if each.at_ms >= since_ms}
    void = {key for key, said in profile.feedback.items() if said.at_ms < since_ms}
    for key in void:
        del profile.feedback[key]
    return void


def heed(profile: ProfileState, content_id: str, feedback: TitleFeedback | None) -> None:
    """Change the profile by what it says of a title now; None: nothing any more."""
    profile.feedback.pop(content_id, None)
    if feedback is not None:
        profile.feedback[content_id] = feedback


def apply(profile: ProfileState, watch: Watch) -> Learned | None:
    """Change the profile by one watch; returns what the model learns of it, if anything."""
    before = profile.titles.get(watch.content_id)
    is_same_session = before is not None and before.session_id == watch.session_id
    if before is not None and watch.at_ms < before.at_ms and not is_same_session:
        before.is_completed = before.is_completed or _is_end(watch)
        return None
    steps = before.steps if before is not None and is_same_session else frozenset()
    profile.titles[watch.content_id] = _touched(before, watch, steps)
    if not is_same_session:
        _move_to_newest(profile, watch.content_id)
    if watch.step in steps or (before is not None and before.is_completed):
        return None  # Watching again says nothing of what follows.
    weight = STEP_WEIGHTS[watch.step]
    history = profile.history()
    if weight == 0.0 or watch.content_id not in history:
        return None
    return Learned(
        history=history[history.index(watch.content_id) + 1 :],
        content_id=watch.content_id,
        weight=weight,
        at_ms=watch.at_ms,
        region=watch.region,
        os=watch.os,
    )


def _touched(before: WatchedTitle | None, watch: Watch, steps: frozenset[str]) -> WatchedTitle:
    is_end = _is_end(watch)
    if before is not None and watch.at_ms < before.at_ms:
        # A late step of the same session: where it stands is known from a newer one.
        return WatchedTitle(
            playhead_ms=before.playhead_ms,
            at_ms=before.at_ms,
            session_id=before.session_id,
            is_completed=before.is_completed or is_end,
            is_at_end=before.is_at_end,
            is_rejected=before.is_rejected and not is_end,
            steps=steps | {watch.step},
        )
    is_completed = is_end or (before is not None and before.is_completed)
    is_left = watch.step == "abandoned" and watch.completion_ratio < REJECTED_RATIO_MAX
    return WatchedTitle(
        playhead_ms=watch.playhead_ms,
        at_ms=watch.at_ms,
        session_id=watch.session_id,
        is_completed=is_completed,
        # What is still shown after the end (credits) does not take it back.
        is_at_end=is_end or "completed" in steps,
        is_rejected=is_left and not is_completed,
        steps=steps | {watch.step},
    )


def _is_end(watch: Watch) -> bool:
    return watch.step == "completed" or watch.completion_ratio >= COMPLETED_RATIO


def _move_to_newest(profile: ProfileState, content_id: str) -> None:
    profile.titles[content_id] = profile.titles.pop(content_id)
    if len(profile.titles) > TITLES_MAX:
        profile.titles.pop(next(iter(profile.titles)))
