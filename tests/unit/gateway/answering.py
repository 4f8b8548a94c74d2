"""Answers of agents that grant everything."""

from __future__ import annotations

from typing import Any

from schemas.accounts import (
    AccountView,
    CreateProfile,
    DeleteProfile,
    Done,
    EnsureAccount,
    GetAccount,
    Profile,
    Refresh,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignIn,
    SignOut,
    SignUp,
    Tokens,
    UpdateProfile,
)
from schemas.catalog import PutTitle, TitleStored
from schemas.licenses import ClearKey, Keys
from schemas.recommendations import (
    GetRecommendations,
    GetResumePoint,
    RecommendationRow,
    Recommendations,
    RecommendedTitle,
    ResumePoint,
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

    def keys(question: GetKeys) -> Keys:
        return Keys(keys=tuple(ClearKey(key_id=k, key=b"k" * 16) for k in question.key_ids))

    account_commands = (
        SignUp,
        EnsureAccount,
        GetAccount,
        CreateProfile,
        UpdateProfile,
        DeleteProfile,
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
        ListDevices: lambda _: Devices(devices=(device,)),
        RemoveDevice: lambda _: Done(),
        GetResumePoint: lambda _: ResumePoint(playhead_ms=61_000),
        GetRecommendations: _rows,
        PutTitle: lambda command: TitleStored(title=command.title),
    }
