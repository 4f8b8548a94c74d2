"""Recommendations: what is asked, what is answered, and what was served."""

from __future__ import annotations

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


class GetRecommendations(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_recommendations"
):
    """The rows of a profile: `recommendation.requests.v1`."""

    profile_id: str
    account_id: str
    maturity: int
    region: str
    plan: str = ""
    count: int = 20


class GetResumePoint(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_resume_point"
):
    """Where the profile left the content."""

    profile_id: str
    content_id: str


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resume_point"):
    """0 where it never began or was watched to the end."""

    playhead_ms: int


class ForgetProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="forget_profile"
):
    """Remove what is published about a profile; its watches are removed by their retention."""

    profile_id: str


class ProfileForgotten(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="profile_forgotten"
):
    """Nothing is published about the profile any more."""

    profile_id: str


RecommendationRequest = GetRecommendations | GetResumePoint | ForgetProfile
