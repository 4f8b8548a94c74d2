"""The viewers of an account, and the PINs that guard them; the account agent decides."""

from __future__ import annotations

from aiohttp import web

from gateway.accounts import ask_account, seal_credentials
from gateway.answers import NO_STORE, answer, nothing
from gateway.auth import Viewer
from gateway.bodies import (
    NewPin,
    NewProfile,
    PinEntry,
    ProfileChange,
    ProfilesAnswer,
    ProfileUnlockedAnswer,
)
from gateway.catalog import rows_question
from gateway.erasure import forget_profile
from gateway.gateway import Gateway, gateway_of, instant
from gateway.problems import ProblemError
from schemas.accounts import (
    AccountView,
    CreateProfile,
    Credentials,
    DeleteProfile,
    GetAccount,
    Profile,
    ProfileUnlocked,
    SetPin,
    UnlockProfile,
    UpdateProfile,
)
from schemas.recommendations import Recommendations, RefreshProfile
from streams.topics import ACCOUNT_REQUESTS, RECOMMENDATION_REQUESTS


async def get_profiles(request: web.Request) -> web.Response:
    """The account's viewers."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    view = await ask_account(gateway, GetAccount(account_id=viewer.account_id))
    return answer(ProfilesAnswer(profiles=view.profiles))


async def create_profile(request: web.Request) -> web.Response:
    """201 with the new viewer."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: NewProfile = await gateway.read_json(request, NewProfile)
    command = CreateProfile(
        account_id=viewer.account_id,
        sealed=_sealed_name(gateway, viewer.account_id, body.name),
        language=body.language,
        maturity=body.maturity,
        proof=gateway.auth.proof(request, viewer),
    )
    view = await ask_account(gateway, command)
    return answer(max(view.profiles, key=lambda profile: profile.created_at_ms), 201)


async def change_profile(request: web.Request) -> web.Response:
    """The viewer as it is now."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: ProfileChange = await gateway.read_json(request, ProfileChange)
    profile_id = request.match_info["profile_id"]
    command = UpdateProfile(
        account_id=viewer.account_id,
        profile_id=profile_id,
        sealed=_sealed_name(gateway, viewer.account_id, body.name),
        language=body.language,
        maturity=body.maturity,
        proof=gateway.auth.proof(request, viewer),
        is_personalized=body.is_personalized,
    )
    view = await ask_account(gateway, command)
    profile = _profile_of(view, profile_id)
    if body.is_personalized is not None:
        await _refresh(request, viewer, view, profile)
    return answer(profile)


async def delete_recommendations(request: web.Request) -> web.Response:
    """204 once they begin anew: what was watched and said of titles is forgotten."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    command = UpdateProfile(
        account_id=viewer.account_id,
        profile_id=profile_id,
        proof=gateway.auth.proof(request, viewer),
        forgets_watched=True,
    )
    view = await ask_account(gateway, command)
    await _refresh(request, viewer, view, _profile_of(view, profile_id))
    return nothing()


async def delete_profile(request: web.Request) -> web.Response:
    """204 once it is gone and what it said of titles is forgotten."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    command = DeleteProfile(
        account_id=viewer.account_id,
        profile_id=profile_id,
        proof=gateway.auth.proof(request, viewer),
    )
    await ask_account(gateway, command)
    await forget_profile(gateway, profile_id)
    return nothing()


async def put_pin(request: web.Request) -> web.Response:
    """The profile, guarded by this PIN from now on, or by none."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: NewPin = await gateway.read_json(request, NewPin)
    profile_id = request.match_info["profile_id"]
    credentials = Credentials(pin=body.pin or "", password=body.password)
    command = SetPin(
        account_id=viewer.account_id,
        profile_id=profile_id,
        sealed=seal_credentials(gateway, viewer.account_id, credentials),
        proof=gateway.auth.proof(request, viewer),
    )
    view = await ask_account(gateway, command, gateway.limits.credentials_deadline_ms)
    return answer(_profile_of(view, profile_id))


async def unlock_profile(request: web.Request) -> web.Response:
    """A profile token against the PIN: shown where a session is opened or a profile changed."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: PinEntry = await gateway.read_json(request, PinEntry)
    credentials = Credentials(pin=body.pin)
    command = UnlockProfile(
        account_id=viewer.account_id,
        profile_id=request.match_info["profile_id"],
        sealed=seal_credentials(gateway, viewer.account_id, credentials),
    )
    unlocked: ProfileUnlocked = await gateway.ask(
        ACCOUNT_REQUESTS,
        viewer.account_id,
        command,
        ProfileUnlocked,
        deadline_ms=gateway.limits.credentials_deadline_ms,
    )
    granted = ProfileUnlockedAnswer(
        profile_token=unlocked.profile_token, expires_at=instant(unlocked.expires_at_ms)
    )
    return answer(granted, headers=NO_STORE)


def _sealed_name(gateway: Gateway, account_id: str, name: str | None) -> bytes | None:
    """It may be a person's: commands stay in the log for an hour."""
    if name is None:
        return None
    return seal_credentials(gateway, account_id, Credentials(profile_name=name))


async def _refresh(
    request: web.Request, viewer: Viewer, view: AccountView, profile: Profile
) -> None:
    """What its account decided counts in recommendations, and none of before is served."""
    rows = rows_question(request, viewer, view, profile)
    command = RefreshProfile(profile_id=profile.profile_id, changes=rows)
    await gateway_of(request).ask(
        RECOMMENDATION_REQUESTS, profile.profile_id, command, Recommendations
    )


def _profile_of(view: AccountView, profile_id: str) -> Profile:
    profile = next((each for each in view.profiles if each.profile_id == profile_id), None)
    if profile is None:
        raise ProblemError(404, "unknown-profile")
    return profile
