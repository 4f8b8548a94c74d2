from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import ProblemError
from gateway.webhooks import TOLERANCE_S, require_signed
from schemas.accounts import ApplyBillingEvent
from schemas.envelope import Refused
from schemas.secrets import SecretBytes
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.answering import let_all_answer

SECRET, OLD = SecretBytes(b"n" * 32), SecretBytes(b"o" * 24)
NOW_S = NOW_MS // 1000
ACCOUNT_ID = "8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d"
EVENT: dict[str, Any] = {
    "type": "subscription.activated",
    "timestamp": "2027-01-15T07:59:00Z",
    "data": {"account_id": ACCOUNT_ID, "plan": "premium", "until": "2027-02-15T08:00:00+00:00"},
}
GOLDEN_BODY = b'{"test": 2432232314}'
"""The example of the Standard Webhooks reference libraries."""
GOLDEN = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
GOLDEN_SECRET = SecretBytes(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))


def signed(
    body: bytes, *, secret: SecretBytes = SECRET, event_id: str = "evt_1", at_s: int = NOW_S
) -> dict[str, str]:
    covered = f"{event_id}.{at_s}.".encode() + body
    mac = base64.b64encode(hmac.new(secret.reveal(), covered, hashlib.sha256).digest())
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{mac.decode()}",
        "Content-Type": "application/json",
    }


def is_taken(
    headers: dict[str, str], body: bytes, *secrets: SecretBytes, now_s: int = NOW_S
) -> bool:
    try:
        require_signed(headers, body, secrets, now_s * 1000)
    except ProblemError as error:
        return error.problem.status != 401
    return True


def test_the_golden_example_of_the_specification_is_taken() -> None:
    at_s = int(GOLDEN["webhook-timestamp"])
    assert is_taken(GOLDEN, GOLDEN_BODY, GOLDEN_SECRET, now_s=at_s)
    assert not is_taken(GOLDEN, GOLDEN_BODY, SECRET, now_s=at_s)
    assert not is_taken(GOLDEN, GOLDEN_BODY + b" ", GOLDEN_SECRET, now_s=at_s)


def test_no_changed_byte_of_a_signature_is_taken() -> None:
    headers = signed(b"{}")
    text = headers["webhook-signature"]
    for place in range(len(text)):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = text[:place] + chr(ord(text[place]) ^ flip) + text[place + 1 :]
            assert not is_taken({**headers, "webhook-signature": changed}, b"{}", SECRET), changed
    for cut in range(len(text)):
        assert not is_taken({**headers, "webhook-signature": text[:cut]}, b"{}", SECRET)


@given(st.data())
def test_no_changed_byte_of_what_is_signed_is_taken(data: st.DataObject) -> None:
    body = json.dumps(EVENT).encode()
    headers = signed(body)
    place = data.draw(st.integers(0, len(body) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]
    assert not is_taken(headers, changed, SECRET)
    for name in ("webhook-id", "webhook-timestamp"):
        other = data.draw(st.text(max_size=20))
        assert not is_taken({**headers, name: other}, body, SECRET) or other == headers[name]


@pytest.mark.parametrize(
    ("away_s", "taken"),
    [
        (0, True),
        (TOLERANCE_S, True),
        (-TOLERANCE_S, True),
        (TOLERANCE_S + 1, False),
        (-TOLERANCE_S - 1, False),
    ],
)
def test_a_signature_counts_for_minutes_only(away_s: int, taken: bool) -> None:
    assert is_taken(signed(b"{}", at_s=NOW_S + away_s), b"{}", SECRET) == taken


def test_several_secrets_and_signatures_count_while_one_is_rotated() -> None:
    old, new = signed(b"{}", secret=OLD), signed(b"{}")
    assert is_taken(old, b"{}", SECRET, OLD)
    assert not is_taken(old, b"{}", SECRET)
    both = f"{old['webhook-signature']} v1a,AAAA {new['webhook-signature']}"
    assert is_taken({**new, "webhook-signature": both}, b"{}", SECRET)
    assert not is_taken({**new, "webhook-signature": both.replace("v1,", "v2,")}, b"{}", SECRET)
    assert not is_taken(new, b"{}")


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_is_needed(missing: str) -> None:
    headers = {name: value for name, value in signed(b"{}").items() if name != missing}
    assert not is_taken(headers, b"{}", SECRET)


@pytest.mark.parametrize("seconds", ["", "-1", "1e9", "١٢٣", "9" * 13, "0x10", " 1"])
def test_a_timestamp_is_plain_seconds(seconds: str) -> None:
    headers = {**signed(b"{}"), "webhook-timestamp": seconds}
    assert not is_taken(headers, b"{}", SECRET)


async def post(
    client: aiohttp.ClientSession, event: object, **options: Any
) -> tuple[int, dict[str, Any]]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    async with client.post(
        "/v1/billing/events", data=body, headers=signed(body, **options)
    ) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_event_reaches_the_account_agent_and_says_what_it_came_to(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    world.billing_secrets = (SECRET,)
    status, answer = await post(client, EVENT, event_id="evt_7")
    assert status == 200
    assert (answer["event_id"], answer["outcome"]) == ("evt_7", "applied")
    assert answer["subscription"]["state"] == "active"
    ((_, key, command),) = world.asker.asked
    assert key == ACCOUNT_ID
    assert command == ApplyBillingEvent(
        account_id=ACCOUNT_ID,
        event_id="evt_7",
        event_type="subscription.activated",
        occurred_at_ms=1_799_999_940_000,
        plan="premium",
        until_ms=1_802_678_400_000,
    )


async def test_an_event_of_another_kind_is_ignored_and_not_sent_again(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.billing_secrets = (SECRET,)
    event = {"type": "invoice.created", "timestamp": "whenever", "data": {"anything": [1]}}
    status, answer = await post(client, event)
    assert (status, answer["outcome"]) == (200, "ignored")
    assert world.asker.asked == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "2027-01-15T08:06:00Z"}, "timestamp"),
        ({"timestamp": "2027-01-15T07:59:00"}, "schema"),
        ({"timestamp": None}, "schema"),
        ({"data": {"account_id": ACCOUNT_ID}}, "schema"),
        ({"data": {"account_id": "ada@example.org", "plan": "premium"}}, "schema"),
        ({"data": {**EVENT["data"], "until": "2027-01-15T07:58:00Z"}}, "until"),
        ({"data": {**EVENT["data"], "card": "4111"}}, "schema"),
        ({"type": 7}, "schema"),
        ({"type": ""}, "schema"),
    ],
)
async def test_what_is_signed_but_cannot_be_is_400(
    world: World, client: aiohttp.ClientSession, change: dict[str, Any], reason: str
) -> None:
    world.billing_secrets = (SECRET,)
    status, problem = await post(client, EVENT | change)
    assert (status, problem["reason"]) == (400, reason)
    assert world.asker.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"type": "x"' * 1000])
async def test_garbage_with_a_good_signature_is_400(
    world: World, client: aiohttp.ClientSession, body: bytes
) -> None:
    world.billing_secrets = (SECRET,)
    assert (await post(client, body))[0] == 400


async def test_an_unknown_account_or_plan_is_told_by_name(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.billing_secrets = (SECRET,)
    for refused in (
        Refused(status=404, reason="unknown-account"),
        Refused(status=400, reason="unknown-plan", detail="there is no plan 'gold'"),
    ):
        world.asker.answers[ApplyBillingEvent] = lambda _, refused=refused: refused  # type: ignore[misc]  # bound now
        status, problem = await post(client, EVENT)
        assert (status, problem["reason"]) == (refused.status, refused.reason)


async def test_without_a_secret_the_sender_tries_again_later(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    status, problem = await post(client, EVENT)
    assert (status, problem["reason"]) == (503, "no-billing-secret")
    world.billing_secrets = (SECRET,)
    assert (await post(client, EVENT))[0] == 200
    world.billing_secrets = (OLD,)
    status, problem = await post(client, EVENT)
    assert (status, problem["reason"]) == (401, "signature")
    assert len(world.asker.asked) == 1
