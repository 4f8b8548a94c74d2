from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.keys.folder import KeyFolder
from infra.keys.live import LiveIdentities
from infra.keys.signing_keys import SIGNED_MS_MAX
from schemas.envelope import Enrollment
from schemas.sessions import SessionClaims
from schemas.tokens import AUDIENCE, SESSION_TOKEN_S_MAX, SESSION_TYP
from streams.identity import Directory, is_signed_by
from streams.tokens import TokenError, TokenVerifier, issue
from tests.builders import NOW_MS
from tests.gateway_fakes import MemoryClock, MemoryView, World


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    folder = KeyFolder(tmp_path / "keys")
    folder.create()
    return folder


class Log:
    """`signing.keys.v1` and a gateway that reads it."""

    def __init__(self, keys: KeyFolder) -> None:
        self.keys = keys
        self.clock = MemoryClock(NOW_MS)
        self.view: MemoryView[Enrollment] = MemoryView()
        followed: Any = self.view
        directory = Directory(followed, keys.root_public(), clock=self.clock)
        self.verifier: TokenVerifier[SessionClaims] = TokenVerifier(
            directory,
            "license",
            SessionClaims,
            typ=SESSION_TYP,
            audience=AUDIENCE,
            lifetime_s_max=SESSION_TOKEN_S_MAX,
            clock=self.clock,
        )

    def enroll(self) -> None:
        for enrollment in self.keys.enrollments(self.clock()):
            self.view.put(enrollment.key_id, enrollment)

    def token(self, live: LiveIdentities) -> str:
        claims = World(clock=self.clock).session_claims()
        return issue(live.identity("license"), claims, typ=SESSION_TYP)


def test_tokens_of_both_keys_count_until_the_old_ones_are_over(keys: KeyFolder) -> None:
    log, live = Log(keys), LiveIdentities(keys)
    log.enroll()
    old = log.token(live)
    signing_keys, root = keys.signing_keys(), keys.root()
    signing_keys.prepare("license")
    live.look()
    assert log.verifier.verify(log.token(live)).sid  # the old key signs until the new one is known
    signing_keys.retire("license", log.clock())
    live.look()
    log.enroll()
    new = log.token(live)
    assert [log.verifier.verify(token).sid != "" for token in (old, new)] == [True, True]
    (retired,) = signing_keys.retired(root, log.clock())
    assert is_signed_by(keys.root_public(), retired)
    log.clock.now_ms += SIGNED_MS_MAX["license"]
    with pytest.raises(TokenError):
        log.verifier.verify(old, expired_for_s_max=10**9)
    assert log.verifier.verify(new, expired_for_s_max=10**9).sid


def test_a_key_in_wrong_hands_ends_what_it_signed_though_it_was_checked_before(
    keys: KeyFolder,
) -> None:
    log, live = Log(keys), LiveIdentities(keys)
    log.enroll()
    stolen = log.token(live)
    assert log.verifier.verify(stolen).sid
    keys.signing_keys().prepare("license")
    keys.signing_keys().retire("license", log.clock(), at_once=True)
    live.look()
    log.enroll()
    with pytest.raises(TokenError):
        log.verifier.verify(stolen)
    assert log.verifier.verify(log.token(live)).sid


def test_a_rotation_that_was_cut_short_goes_on_with_the_same_key(keys: KeyFolder) -> None:
    first = keys.identity("account")
    prepared = keys.signing_keys().prepare("account")
    again = KeyFolder(keys._folder).signing_keys()  # another process
    assert again.is_under_way("account")
    assert again.prepare("account").key_id == prepared.key_id
    again.retire("account", NOW_MS)
    now = keys.identity("account")
    assert (now.key_id, now.role) == (prepared.key_id, "account")
    assert now.sealing.private_bytes_raw() == first.sealing.private_bytes_raw()
    assert not again.is_under_way("account")


def test_a_stop_between_both_steps_of_retiring_leaves_the_old_key_in_force(
    keys: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keys.identity("account").key_id
    signing_keys = keys.signing_keys()
    signing_keys.prepare("account")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", _only_retired(stop))
        with pytest.raises(KeyboardInterrupt):
            signing_keys.retire("account", NOW_MS)
    enrolled = {each.key_id: each for each in keys.enrollments(NOW_MS)}
    assert enrolled[first].not_after_ms > NOW_MS + SIGNED_MS_MAX["account"]
    signing_keys.retire("account", NOW_MS + 1)
    enrolled = {each.key_id: each for each in keys.enrollments(NOW_MS + 1)}
    assert enrolled[first].not_after_ms == NOW_MS + 1 + SIGNED_MS_MAX["account"]
    assert len([each for each in enrolled.values() if each.role == "account"]) == 2


def _only_retired(stop: Any) -> Any:
    """Renames go through but for that of an identity."""
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        return stop() if self.name.endswith(".next.json") else real(self, target)

    return replace


def test_a_damaged_file_changes_no_running_identity(keys: KeyFolder, tmp_path: Path) -> None:
    live = LiveIdentities(keys)
    before = live.identity("license").key_id
    (tmp_path / "keys" / "license.json").write_text("{")
    live.look()
    assert live.identity("license").key_id == before


def test_nothing_of_a_private_key_shows(keys: KeyFolder, tmp_path: Path) -> None:
    prepared = keys.signing_keys().prepare("license")
    secret = keys.identity("license").signing.private_bytes_raw().hex()
    keys.signing_keys().retire("license", NOW_MS)
    assert secret not in (tmp_path / "keys" / "retired.json").read_text()
    assert prepared.signing.private_bytes_raw().hex() not in repr(prepared)
    assert isinstance(prepared.signing, Ed25519PrivateKey)
