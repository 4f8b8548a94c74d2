"""Answers of agents that grant everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from schemas.accounts import (
    AccountView,
    ApplyBillingEvent,
    BillingOutcome,
    CreateProfile,
    DeleteProfile,
    DeviceNames,
    Done,
    EnsureAccount,
    EraseAccount,
    GetAccount,
    GetDeviceNames,
    NameDevice,
    Profile,
    ProfileUnlocked,
    Refresh,
    RequestPasswordReset,
    ResetPassword,
    SetPin,
    SetSubscription,
    SignIn,
    SignOut,
    SignUp,
    Tokens,
    UnlockProfile,
    UpdateProfile,
)
from schemas.catalog import PutTitle, TitleStored
from schemas.licenses import BoundKeys, ClearKey, ContentKeys, Keys, TierKey
from schemas.packaging import RequestPackagerKeys
from schemas.recommendations import (
    ExpertPart,
    ExplainTitle,
    ForgetProfile,
    GetFeedback,
    GetRecommendations,
    GetResumePoint,
    GetSimilar,
    GiveFeedback,
    ProfileFeedback,
    ProfileForgotten,
    RecommendationRow,
    Recommendations,
    RecommendedTitle,
    RefreshProfile,
    ResumePoint,
    SimilarTitles,
    TitleExplained,
    TitleFeedback,
)
from schemas.sessions import (
    Devices,
    EndSession,
    ExtendSession,
    GetKeys,
    ListDevices,
    OpenSession,
    RegisteredDevice,
    RemoveDevice,
    SessionEnded,
    SessionOpened,
)
from schemas.subscriptions import BILLING_STATES, Subscription
from tests.gateway_fakes import NOW_MS, World

PROFILE_ID = "01930000-0000-7000-8000-00000000000a"


def a_view(command: Any) -> AccountView:
    profile = Profile(
        profile_id=getattr(command, "profile_id", PROFILE_ID), name="Ada", created_at_ms=NOW_MS
    )
    return AccountView(
        account_id=command.account_id,
        plan="standard",
        subscription_state="active",
        subscription_until_ms=None,
        profiles=(profile,),
        version=7,
    )


def _rows(question: GetRecommendations) -> Recommendations:
    title = RecommendedTitle(content_id="title-1", title="One", score=0.5, reason="popular now")
    return Recommendations(
        profile_id=question.profile_id,
        account_id=question.account_id,
        rows=(RecommendationRow(row="popular", reason="popular now", items=(title,)),),
        model_version="1",
        as_of_ms=NOW_MS,
    )


def _explained(question: ExplainTitle) -> TitleExplained:
    return TitleExplained(
        profile_id=question.profile_id,
        content_id=question.content_id,
        history_count=1,
        is_completed=False,
        likeness=0.5,
        experts=(ExpertPart(expert="last", score=2.0, weight=0.5, part=1.0),),
        model_version="1",
    )


def _kept(given: GiveFeedback) -> TitleFeedback:
    return TitleFeedback(
        profile_id=given.profile_id,
        account_id=given.changes.account_id,
        content_id=given.content_id,
        at_ms=NOW_MS,
        thumb=given.thumb,
        is_hidden=given.is_hidden,
        is_favorite=given.is_favorite,
    )


def _said(question: GetFeedback) -> ProfileFeedback:
    said = TitleFeedback(
        profile_id=question.profile_id,
        account_id="",
        content_id="title-1",
        at_ms=NOW_MS,
        thumb="up",
    )
    return ProfileFeedback(profile_id=question.profile_id, titles=(said,))


_RECOMMENDED: Final[dict[type, Callable[[Any], Any]]] = {
    GetRecommendations: _rows,
    GiveFeedback: _kept,
    RefreshProfile: lambda command: _rows(command.changes),
    GetFeedback: _said,
    ExplainTitle: _explained,
    GetSimilar: lambda question: SimilarTitles(content_id=question.content_id, items=()),
    GetResumePoint: lambda _: ResumePoint(playhead_ms=61_000),
}


def let_all_answer(world: World) -> None:
    """Every agent is there and grants."""

    def opened(question: Any) -> SessionOpened:
        claims = world.session_claims(sid=question.session_id, account_id=question.account_id)
        return SessionOpened(
            session_id=claims.sid,
            session_token=world.session_token(claims),
            expires_at_ms=claims.exp * 1000,
        )

    def tokens(_: Any) -> Tokens:
        return Tokens(access_token=world.access_token(), refresh_token="r" * 70, expires_in=900)

    def keys(question: GetKeys) -> Keys | BoundKeys:
        if question.system == "device":
            return BoundKeys(key_ids=question.key_ids, device_id="tv", sealed=b"sealed")
        return Keys(keys=tuple(ClearKey(key_id=k, key=b"k" * 16) for k in question.key_ids))

    def content_keys(question: RequestPackagerKeys) -> ContentKeys:
        """In clear: the asked ones, whatever tier they are for."""
        return ContentKeys(
            content_id=question.content_id,
            keys=tuple(TierKey(tier="sd", key_id=k.key_id, key=b"k" * 16) for k in question.keys),
        )

    account_commands = (
        SignUp,
        EnsureAccount,
        GetAccount,
        CreateProfile,
        UpdateProfile,
        DeleteProfile,
        SetPin,
        SetSubscription,
    )
    device = RegisteredDevice(
        device_id="tv", model="", os="", first_seen_at_ms=NOW_MS, last_seen_at_ms=NOW_MS
    )
    world.asker.answers = {
        **dict.fromkeys(account_commands, a_view),
        **dict.fromkeys((SignIn, Refresh), tokens),
        **dict.fromkeys((SignOut, RequestPasswordReset, ResetPassword), lambda _: Done()),
        **dict.fromkeys((OpenSession, ExtendSession), opened),
        EndSession: lambda question: SessionEnded(session_id=question.session_id),
        GetKeys: keys,
        RequestPackagerKeys: content_keys,
        ListDevices: lambda _: Devices(devices=(device,)),
        RemoveDevice: lambda _: Done(),
        NameDevice: lambda _: Done(),
        GetDeviceNames: lambda _: DeviceNames(names={"tv": "Living room"}),
        UnlockProfile: lambda command: ProfileUnlocked(
            profile_token=world.profile_token(command.account_id, command.profile_id, NOW_MS),
            expires_at_ms=NOW_MS + 1,
        ),
        ApplyBillingEvent: lambda command: BillingOutcome(
            outcome="applied",
            subscription=Subscription(
                plan=command.plan,
                state=BILLING_STATES[command.event_type],
                since_ms=command.occurred_at_ms,
                until_ms=command.until_ms,
            ),
        ),
        **_RECOMMENDED,
        EraseAccount: lambda _: Done(),
        ForgetProfile: lambda command: ProfileForgotten(profile_id=command.profile_id),
        PutTitle: lambda command: TitleStored(title=command.title),
    }
