"""Recommendations: what is asked, what is answered, and what was served."""

from __future__ import annotations

from typing import Literal

import msgspec


class RecommendedTitle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place of a row."""

    content_id: str
    title: str
    score: float
    reason: str
    propensity: float = 1.0
    """Probability that the policy put it at this place, given the places above (0, 1]."""
    playhead_ms: int | None = None
    """Where to go on, in "continue watching"."""


class RecommendationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the page."""

    row: str
    reason: str
    items: tuple[RecommendedTitle, ...]


class Recommendations(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="recommendations"
):
    """A profile's rows now: the answer, and the value of updates and served lists."""

    profile_id: str
    rows: tuple[RecommendationRow, ...]
    model_version: str
    as_of_ms: int
    account_id: str = ""
    policy_version: str = ""
    """Of what makes rows of a model's ranking; propensities are this policy's."""
    is_personalized: bool = True
    """False: the profile turned it off, and nothing that it watched put a title where it is."""


class GetRecommendations(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_recommendations"
):
    """The rows of a profile: `recommendation.requests.v1`."""

    profile_id: str
    account_id: str
    maturity: int
    region: str
    plan: str = ""
    os: str = ""
    """Of the device that asks, as its sessions name it; empty: not known."""
    count: int = 20
    is_look: bool = False
    """An operator looks: nobody was served, so it is not recorded and no update follows."""


class GetResumePoint(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_resume_point"
):
    """Where the profile left the content."""

    profile_id: str
    content_id: str


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resume_point"):
    """0 where it never began or was watched to the end."""

    playhead_ms: int


Thumb = Literal["", "up", "down"]


class TitleFeedback(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="title_feedback",
):
    """What a profile says of a title: `title.feedback.v1`. A removal takes all of it back."""

    profile_id: str
    account_id: str
    content_id: str
    at_ms: int
    thumb: Thumb = ""
    is_hidden: bool = False
    """It is offered to the profile in no row."""
    is_favorite: bool = False
    """It stands in the row "my list"."""

    @property
    def key(self) -> str:
        """Of its record; neither id holds a colon."""
        return f"{self.profile_id}:{self.content_id}"

    @property
    def says_nothing(self) -> bool:
        """Then there is nothing to keep."""
        return not (self.thumb or self.is_hidden or self.is_favorite)


class GiveFeedback(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="give_feedback"
):
    """In place of what the profile said of the title before; all at its default takes it back."""

    profile_id: str
    content_id: str
    thumb: Thumb = ""
    is_hidden: bool = False
    is_favorite: bool = False
    changes: GetRecommendations
    """The rows that it changes: whoever asks for them while the agent is away gets them so."""


class GetFeedback(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_feedback"):
    """Everything that the profile says of titles."""

    profile_id: str


class ProfileFeedback(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="profile_feedback"
):
    """The newest first."""

    profile_id: str
    titles: tuple[TitleFeedback, ...]


class RefreshProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="refresh_profile"
):
    """Its account changed what recommendations may know of it: what they may not is removed.

    The answer is its rows now, which have replaced those published before.
    """

    profile_id: str
    changes: GetRecommendations
    """The rows that it changes."""


class ForgetProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="forget_profile"
):
    """Remove what is published about a profile and what it said of titles; its watches are removed
    by their retention."""

    profile_id: str


class ProfileForgotten(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="profile_forgotten"
):
    """Nothing is published about the profile any more."""

    profile_id: str


class ExplainTitle(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="explain_title"
):
    """Why a title stands where it stands for a profile."""

    profile_id: str
    content_id: str


class ExpertPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one expert of the model says of a title; `part` of all add up to the score."""

    expert: str
    score: float
    """Its log score, above that of the mean title."""
    weight: float
    """How far it is trusted at this length of history."""
    part: float
    """score x weight."""


class TitleExplained(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="title_explained"
):
    """Every expert's part, the largest first."""

    profile_id: str
    content_id: str
    history_count: int
    is_completed: bool
    """Then it is not offered any more."""
    is_hidden: bool = False
    """By the profile: then neither."""
    likeness: float
    """Cosine with what the profile watched, by what is written of the titles, -1 to 1."""
    experts: tuple[ExpertPart, ...]
    model_version: str


class GetSimilar(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_similar"):
    """Titles like this one by what is written of them; keyed by the title."""

    content_id: str
    count: int = 20


class SimilarTitles(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="similar_titles"
):
    """Listed titles, most like first; the score is the cosine."""

    content_id: str
    items: tuple[RecommendedTitle, ...]


class ModelStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="model_start"):
    """From when on the title model learns: `recommendation.models.v1`; the newest counts.

    Every worker rebuilds its model beside the live one when it reads this, and a worker that starts
    begins with it: so a rebuild that was cut off is done by the next start.
    """

    since_ms: int
    """Older watches teach the model nothing; profiles keep them."""
    decided_at_ms: int
    by: str = ""
    """Who ordered it."""


RecommendationRequest = (
    GetRecommendations
    | GetResumePoint
    | GiveFeedback
    | GetFeedback
    | RefreshProfile
    | ForgetProfile
    | ExplainTitle
    | GetSimilar
)
