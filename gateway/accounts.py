"""Accounts, profiles and devices of the viewer who asks; each is its agent's to decide."""

from __future__ import annotations

import unicodedata

from aiohttp import web

from gateway.answers import answer, nothing
from gateway.bodies import (
    AccountAnswer,
    DevicesAnswer,
    NewAccount,
    NewProfile,
    PasswordReset,
    ProfileChange,
    ProfilesAnswer,
    SubscriptionChange,
)
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError, unavailable
from schemas import codec
from schemas.accounts import (
    AccountRequest,
    AccountView,
    CreateProfile,
    Credentials,
    DeleteProfile,
    Done,
    GetAccount,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignUp,
    UpdateProfile,
    credentials_info,
)
from schemas.errors import InvalidMessageError
from schemas.ids import derive_account_id
from schemas.sessions import Devices, ListDevices, RemoveDevice
from schemas.tokens import account_of_token
from streams.sealing import seal
from streams.topics import ACCOUNT_REQUESTS, LICENSE_REQUESTS


def account_of_address(gateway: Gateway, email: str) -> str:
    """The account id of an address: the pseudonym by which everybody else knows it."""
    normalized = unicodedata.normalize("NFC", email.strip())
    return derive_account_id(gateway.ports.deployment_secret, normalized)


def seal_credentials(gateway: Gateway, account_id: str, credentials: Credentials) -> bytes:
    """Readable by the account agent alone; ProblemError 503 where none is enrolled."""
    enrolled = gateway.ports.directory.current("account")
    if enrolled is None:
        raise unavailable("not_stored", "no-account-agent")
    return seal(codec.encode(credentials), enrolled.sealing_key, credentials_info(account_id))


async def create_account(request: web.Request) -> web.Response:
    """201 with the account."""
    gateway = gateway_of(request)
    body: NewAccount = await gateway.read_json(request, NewAccount)
    account_id = account_of_address(gateway, body.email)
    credentials = Credentials(email=body.email.strip(), password=body.password)
    command = SignUp(
        account_id=account_id,
        sealed=seal_credentials(gateway, account_id, credentials),
        plan=body.plan,
    )
    view = await _ask_account(gateway, command, gateway.limits.credentials_deadline_ms)
    return answer(AccountAnswer.of(view), 201)


async def reset_password(request: web.Request) -> web.Response:
    """Either half of a reset; the first is answered alike whether the address has an account."""
    gateway = gateway_of(request)
    body: PasswordReset = await gateway.read_json(request, PasswordReset)
    command: RequestPasswordReset | ResetPassword
    if body.email is not None and body.reset_token is None and body.password is None:
        account_id = account_of_address(gateway, body.email)
        sealed = seal_credentials(gateway, account_id, Credentials(email=body.email.strip()))
        command = RequestPasswordReset(account_id=account_id, sealed=sealed)
    elif body.reset_token is not None and body.password is not None and body.email is None:
        try:
            account_id = account_of_token(body.reset_token)
        except InvalidMessageError as error:
            raise ProblemError(400, "reset-token", "wrong, expired or already used") from error
        credentials = Credentials(reset_token=body.reset_token, password=body.password)
        sealed = seal_credentials(gateway, account_id, credentials)
        command = ResetPassword(account_id=account_id, sealed=sealed)
    else:
        raise ProblemError(400, "schema", "either email, or reset_token and password")
    await gateway.ask(
        ACCOUNT_REQUESTS,
        account_id,
        command,
        Done,
        deadline_ms=gateway.limits.credentials_deadline_ms,
    )
    return nothing()


async def get_account(request: web.Request) -> web.Response:
    """Plan, subscription state, profiles."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    view = await _ask_account(gateway, GetAccount(account_id=viewer.account_id))
    return answer(AccountAnswer.of(view))


async def get_profiles(request: web.Request) -> web.Response:
    """The account's viewers."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    view = await _ask_account(gateway, GetAccount(account_id=viewer.account_id))
    return answer(ProfilesAnswer(profiles=view.profiles))


async def create_profile(request: web.Request) -> web.Response:
    """201 with the new viewer."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: NewProfile = await gateway.read_json(request, NewProfile)
    command = CreateProfile(
        account_id=viewer.account_id,
        name=body.name,
        language=body.language,
        maturity=body.maturity,
    )
    view = await _ask_account(gateway, command)
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
        name=body.name,
        language=body.language,
        maturity=body.maturity,
    )
    view = await _ask_account(gateway, command)
    profile = next((each for each in view.profiles if each.profile_id == profile_id), None)
    if profile is None:
        raise ProblemError(404, "unknown-profile")
    return answer(profile)


async def delete_profile(request: web.Request) -> web.Response:
    """204."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    await _ask_account(gateway, DeleteProfile(account_id=viewer.account_id, profile_id=profile_id))
    return nothing()


async def get_devices(request: web.Request) -> web.Response:
    """Devices and their running sessions."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    question = ListDevices(account_id=viewer.account_id)
    devices: Devices = await gateway.ask(LICENSE_REQUESTS, viewer.account_id, question, Devices)
    return answer(DevicesAnswer(devices=devices.devices))


async def delete_device(request: web.Request) -> web.Response:
    """Forgets the device and ends its sessions: 204."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    command = RemoveDevice(account_id=viewer.account_id, device_id=request.match_info["device_id"])
    await gateway.ask(LICENSE_REQUESTS, viewer.account_id, command, Devices | Done)
    return nothing()


async def put_subscription(request: web.Request) -> web.Response:
    """What the billing system says about any account."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "billing", "operator")
    body: SubscriptionChange = await gateway.read_json(request, SubscriptionChange)
    command = SetSubscription(
        account_id=request.match_info["account_id"],
        plan=body.plan,
        state=body.state,
        until_ms=body.until_ms,
    )
    return answer(AccountAnswer.of(await _ask_account(gateway, command)))


async def _ask_account(
    gateway: Gateway, command: AccountRequest, deadline_ms: int | None = None
) -> AccountView:
    view: AccountView = await gateway.ask(
        ACCOUNT_REQUESTS, command.account_id, command, AccountView, deadline_ms=deadline_ms
    )
    gateway.auth.remember_version(view)
    return view
