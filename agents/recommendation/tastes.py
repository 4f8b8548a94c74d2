"""All profiles, the title model and the catalog together: the fold of four topics."""

from __future__ import annotations

from typing import Final

from agents.recommendation.blend import Blend
from agents.recommendation.choices import Choices
from agents.recommendation.filters import Viewer
from agents.recommendation.model import Context, TitleModel
from agents.recommendation.offers import Offers
from agents.recommendation.profile import (
    FEEDBACK_TITLES_MAX,
    ProfileState,
    apply,
    begin_anew,
    heed,
)
from agents.recommendation.rows import build_rows, similar_titles
from agents.recommendation.telling import told_before, told_now
from schemas.accounts import Account
from schemas.recommendations import (
    ExpertPart,
    ModelStart,
    RecommendationRow,
    RecommendedTitle,
    TitleExplained,
    TitleFeedback,
)
from schemas.watching import Watch

_NOBODY: Final = ProfileState()
_EVER: Final = ModelStart(since_ms=0, decided_at_ms=0)


def version_of(model: TitleModel, start: ModelStart) -> str:
    """`blend-1`, and when its rebuild was ordered, Unix seconds."""
    rebuilt = f"+{start.decided_at_ms // 1000}" if start.decided_at_ms else ""
    return f"{model.version}{rebuilt}"


class Tastes:
    """State of the agent. The same watches in the same order give the same state."""

    def __init__(
        self,
        model: TitleModel | None = None,
        start: ModelStart = _EVER,
        beside: Tastes | None = None,
    ) -> None:
        """`beside` another: of the same catalog, and of profiles that decided the same."""
        self.model: TitleModel = model or Blend()
        self.start = start
        """From when on the model learns."""
        self.offers: Offers = Offers() if beside is None else beside.offers
        self.choices: Choices = Choices() if beside is None else beside.choices
        self._profiles: dict[str, ProfileState] = {}
        self._void: dict[str, set[str]] = {}
        """By profile: titles whose feedback the log still has, though it counts no more."""
        self._applied: dict[int, int] = {}
        self.heeded_offset = -1
        """Of the last feedback."""

    def __len__(self) -> int:
        return len(self._profiles)

    def take(self, watch: Watch, partition: int, offset: int) -> bool:
        """Apply the record; False where it was applied before. One record learns once."""
        if self.has_applied(partition, offset):
            return False
        self._applied[partition] = offset
        if watch.at_ms < self.choices.of(watch.profile_id).since_ms:
            return True
        profile = self._profile(watch.profile_id)
        learned = apply(profile, watch)
        if learned is not None and learned.at_ms >= self.start.since_ms:
            context = Context(
                learned.history,
                watch.profile_id,
                region=learned.region,
                os=learned.os,
                told=lambda: told_before(self.offers, profile, learned),
            )
            self.model.learn(context, learned.content_id, learned.weight, learned.at_ms)
        return True

    @property
    def model_version(self) -> str:
        """Of the model and, where an operator ordered one, of its rebuild."""
        return version_of(self.model, self.start)

    def has_reached(self, other: Tastes) -> bool:
        """Whether every watch that the other applied is applied here."""
        return all(self.has_applied(*place) for place in other._applied.items())

    def take_model(self, other: Tastes) -> None:
        """Rank by the other's model from here on; both have applied the same watches."""
        applied = other._applied.items()
        assert all(self._applied[partition] == offset for partition, offset in applied), (
            "a watch would teach it twice, or never"
        )
        self.model, self.start = other.model, other.start

    def has_applied(self, partition: int, offset: int) -> bool:
        """Whether the state counts this record."""
        return offset <= self._applied.get(partition, -1)

    def heed(self, key: str, feedback: TitleFeedback | None, offset: int) -> None:
        """Apply a record of what a profile says of a title; None: nothing any more."""
        self.heeded_offset = offset
        profile_id, _, content_id = key.partition(":")
        is_void = feedback is not None and feedback.at_ms < self.choices.of(profile_id).since_ms
        if is_void:
            self._void.setdefault(profile_id, set()).add(content_id)
        else:
            self._void.get(profile_id, set()).discard(content_id)
        kept = None if is_void else feedback
        if kept is not None or profile_id in self._profiles:
            heed(self._profile(profile_id), content_id, kept)

    def mind(self, account: Account) -> None:
        """Apply what an account says of its profiles."""
        for profile_id in self.choices.put(account):
            self.model.forget(profile_id)
            profile = self._profiles.get(profile_id)
            if profile is None:
                continue
            choice = self.choices.of(profile_id)
            profile.is_personalized = choice.is_personalized
            self._void.setdefault(profile_id, set()).update(begin_anew(profile, choice.since_ms))

    def void_feedback(self, profile_id: str) -> tuple[str, ...]:
        """The keys of records that the log still has, said before the profile began anew."""
        return tuple(f"{profile_id}:{each}" for each in self._void.get(profile_id, ()))

    def feedback(self, profile_id: str) -> tuple[TitleFeedback, ...]:
        """What the profile says of titles, the newest first."""
        said = self._profiles.get(profile_id, _NOBODY).feedback
        return tuple(reversed(said.values()))

    def has_room_for(self, feedback: TitleFeedback) -> bool:
        """Whether the profile may say it beside what it says of other titles."""
        said = self._profiles.get(feedback.profile_id, _NOBODY).feedback
        is_known = feedback.content_id in said
        return feedback.says_nothing or is_known or len(said) < FEEDBACK_TITLES_MAX

    def resume_ms(self, profile_id: str, content_id: str) -> int:
        """Where the profile goes on with the content; 0: from the start."""
        return self._profiles.get(profile_id, _NOBODY).resume_ms(content_id)

    def forget(self, profile_id: str) -> None:
        """Drop what the profile watched and said; what the title model learned names nobody."""
        self._profiles.pop(profile_id, None)
        self._void.pop(profile_id, None)
        self.model.forget(profile_id)

    def explain(self, profile_id: str, content_id: str, now_ms: int) -> TitleExplained:
        """Why the title stands where it stands for the profile; the largest part first."""
        profile = self._profiles.get(profile_id, _NOBODY)
        context = Context(
            profile.taste(), profile_id, told=lambda: told_now(self.offers, profile, now_ms)
        )
        parts = self.model.explain(context, content_id)
        parts.sort(key=lambda part: -abs(part.score * part.weight))
        vectors = self.offers.likeness
        likeness = vectors.to(vectors.taste(self.offers.places_of(profile.liked())))
        return TitleExplained(
            profile_id=profile_id,
            content_id=content_id,
            history_count=len(profile.history()),
            is_completed=profile.is_completed(content_id),
            is_hidden=content_id in profile.hidden(),
            likeness=float(likeness[self.offers.places_of((content_id,))].sum()),
            experts=tuple(
                ExpertPart(expert=expert, score=score, weight=weight, part=score * weight)
                for expert, score, weight in parts
            ),
            model_version=self.model_version,
        )

    def _profile(self, profile_id: str) -> ProfileState:
        """To be changed."""
        if profile_id not in self._profiles:
            is_personalized = self.choices.of(profile_id).is_personalized
            self._profiles[profile_id] = ProfileState(is_personalized=is_personalized)
        return self._profiles[profile_id]

    def similar(self, content_id: str, count: int) -> tuple[RecommendedTitle, ...]:
        """Listed titles like this one; none where the catalog does not have it."""
        title = self.offers.get(content_id)
        if title is None:
            return ()
        places = self.offers.newest_first(self.offers.listed())
        return similar_titles(title, self.offers, places, count)

    def rows(
        self, profile_id: str, viewer: Viewer, now_ms: int, *, count: int
    ) -> tuple[RecommendationRow, ...]:
        """The profile's rows now."""
        profile = self._profiles.get(profile_id, _NOBODY)
        return build_rows(profile_id, profile, self.model, self.offers, viewer, now_ms, count=count)
