"""All profiles, the title model and the catalog together: the fold of two topics."""

from __future__ import annotations

from typing import Final

from agents.recommendation.blend import Blend
from agents.recommendation.filters import Viewer
from agents.recommendation.model import Context, TitleModel, Told
from agents.recommendation.offers import Offers
from agents.recommendation.profile import ProfileState, apply
from agents.recommendation.rows import build_rows, similar_titles
from agents.recommendation.telling import tell
from schemas.recommendations import (
    ExpertPart,
    RecommendationRow,
    RecommendedTitle,
    TitleExplained,
)
from schemas.watching import Watch

_NOBODY: Final = ProfileState()


class Tastes:
    """State of the agent. The same watches in the same order give the same state."""

    def __init__(self, model: TitleModel | None = None) -> None:
        self.model: TitleModel = model or Blend()
        self.offers = Offers()
        self._profiles: dict[str, ProfileState] = {}
        self._applied: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._profiles)

    def take(self, watch: Watch, partition: int, offset: int) -> bool:
        """Apply the record; False where it was applied before. One record learns once."""
        if self.has_applied(partition, offset):
            return False
        self._applied[partition] = offset
        profile = self._profiles.setdefault(watch.profile_id, ProfileState())
        learned = apply(profile, watch)
        if learned is not None:
            context = Context(
                learned.history,
                watch.profile_id,
                region=learned.region,
                told=lambda: self._told(profile, learned.history, watch.at_ms),
            )
            self.model.learn(context, learned.content_id, learned.weight, learned.at_ms)
        return True

    def has_applied(self, partition: int, offset: int) -> bool:
        """Whether the state counts this record."""
        return offset <= self._applied.get(partition, -1)

    def resume_ms(self, profile_id: str, content_id: str) -> int:
        """Where the profile goes on with the content; 0: from the start."""
        return self._profiles.get(profile_id, _NOBODY).resume_ms(content_id)

    def forget(self, profile_id: str) -> None:
        """Drop what the profile watched; what the title model learned of it names nobody."""
        self._profiles.pop(profile_id, None)
        self.model.forget(profile_id)

    def explain(self, profile_id: str, content_id: str, now_ms: int) -> TitleExplained:
        """Why the title stands where it stands for the profile; the largest part first."""
        profile = self._profiles.get(profile_id, _NOBODY)
        history = profile.history()
        context = Context(history, profile_id, told=lambda: self._told(profile, history, now_ms))
        parts = self.model.explain(context, content_id)
        parts.sort(key=lambda part: -abs(part.score * part.weight))
        vectors = self.offers.likeness
        likeness = vectors.to(vectors.taste(self.offers.places_of(profile.liked())))
        return TitleExplained(
            profile_id=profile_id,
            content_id=content_id,
            history_count=len(history),
            is_completed=profile.is_completed(content_id),
            likeness=float(likeness[self.offers.places_of((content_id,))].sum()),
            experts=tuple(
                ExpertPart(expert=expert, score=score, weight=weight, part=score * weight)
                for expert, score, weight in parts
            ),
            model_version=self.model.version,
        )

    def _told(self, profile: ProfileState, history: tuple[str, ...], at_ms: int) -> Told:
        """What the catalog tells who watched these of the profile's titles, newest first."""
        liked = (key for key in history if not profile.titles[key].is_rejected)
        places_of = self.offers.places_of
        return tell(self.offers, places_of(history), places_of(liked), at_ms)

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
