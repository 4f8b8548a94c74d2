"""Device-bound sessions: the registered key is the device's, and only it gets keys."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agents.license.answers import bound_keys
from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from schemas.envelope import Refused
from schemas.ids import base64url
from schemas.licenses import BoundKeys, ClearKey, LicenseDecision
from schemas.sessions import Device, GetKeys, OpenSession, RemoveDevice
from streams.binding import Transcript, open_keys
from tests.builders import a_session
from tests.unit.license.facts import KEY_TIERS, an_open, asking, some_knowledge

SD = next(key_id for key_id, place in KEY_TIERS.items() if place == ("tears", "sd"))
PRIVATE = X25519PrivateKey.from_private_bytes(b"p" * 32)
KEY = base64url(PRIVATE.public_key().public_bytes_raw())
OTHER = base64url(X25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw())


def opened(number: int, public_key: str = "", device_id: str = "device-1") -> OpenSession:
    return an_open(number, device=Device(device_id=device_id, public_key=public_key))


def apply(ledger: Ledger, number: int, public_key: str) -> LicenseDecision:
    decision = decide(ledger, opened(number, public_key), some_knowledge(), asking(number))
    ledger.apply(decision)
    return decision


def a_ledger() -> Ledger:
    return Ledger(lease_ms=POLICY.lease_ms)


def test_a_device_that_registered_a_key_is_not_believed_without_it() -> None:
    ledger = a_ledger()
    assert apply(ledger, 1, KEY).outcome == "granted"
    for public_key in (OTHER, ""):
        denied = decide(ledger, opened(2, public_key), some_knowledge(), asking(2))
        assert (denied.outcome, denied.reason) == ("denied", "device-key")
        used = denied.facts
        assert (used.device_public_key, used.registered_public_key) == (public_key, KEY)
    assert decide(ledger, opened(2, KEY), some_knowledge(), asking(3)).outcome == "granted"
    elsewhere = opened(2, OTHER, "device-2")
    assert decide(ledger, elsewhere, some_knowledge(), asking(4)).outcome == "granted"


def test_a_device_may_register_its_key_later_and_anew_once_it_was_removed() -> None:
    ledger = a_ledger()
    apply(ledger, 1, "")
    assert ledger.public_key("account-1", "device-1") == ""
    apply(ledger, 2, KEY)
    assert ledger.public_key("account-1", "device-1") == KEY
    assert ledger.public_key("account-2", "device-1") == ""
    remove = RemoveDevice(account_id="account-1", device_id="device-1")
    ledger.apply(decide(ledger, remove, some_knowledge(), asking(3)))
    assert apply(ledger, 4, OTHER).outcome == "granted"
    assert ledger.public_key("account-1", "device-1") == OTHER


def test_a_bound_session_gets_no_readable_key_and_another_no_bound_one() -> None:
    for public_key, granted in ((KEY, {"device"}), ("", {"clearkey", "identity"})):
        ledger = a_ledger()
        apply(ledger, 1, public_key)
        for system in ("clearkey", "identity", "device"):
            request = GetKeys(
                account_id="account-1",
                session_id="session-1",
                key_ids=(SD,),
                system=system,
            )
            decision = decide(ledger, request, some_knowledge(), asking(2))
            wanted = ("granted", "ok") if system in granted else ("denied", "device-bound")
            assert (decision.outcome, decision.reason) == wanted
            assert decision.key_ids_granted == ((SD,) if system in granted else ())


def test_the_answer_is_for_the_sessions_device_and_the_asked_nonce() -> None:
    session = a_session("session-1", device=Device(device_id="device-1", public_key=KEY))
    keys = (ClearKey(key_id=SD, key=b"k" * 16),)
    answer = bound_keys(keys, session, "n" * 16)
    assert isinstance(answer, BoundKeys)
    transcript = Transcript(
        session_id="session-1", device_id="device-1", nonce="n" * 16, key_ids=answer.key_ids
    )
    assert open_keys(answer.sealed, PRIVATE, transcript) == keys


def test_a_key_that_everybody_knows_gets_nothing() -> None:
    """Gateways refuse it at the door; the agent does not rely on it."""
    device = Device(device_id="device-1", public_key=base64url(bytes(32)))
    answer = bound_keys((), a_session(device=device), "n" * 16)
    assert answer == Refused(status=403, reason="device-key")
