"""PINs: who becomes whom, and that no change without one raises what can be reached without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.account.outcome import Outcome, Unlocked
from schemas.accounts import (
    AccountView,
    CreateProfile,
    Credentials,
    DeleteProfile,
    EnsureAccount,
    PinProof,
    Profile,
    SetPin,
    UnlockProfile,
    UpdateProfile,
)
from schemas.envelope import Refused
from tests.unit.account.story import ACCOUNT_ID, PASSWORD, Story


def a_house(*maturities: int) -> Story:
    story = Story()
    story.sign_up()
    for maturity in maturities:
        story.now_ms += 1
        story.tell(
            CreateProfile(account_id=ACCOUNT_ID, name=f"up to {maturity}", maturity=maturity)
        )
    return story


def profiles(story: Story) -> tuple[Profile, ...]:
    assert story.state is not None
    return story.state.account.profiles


def set_pin(
    story: Story, number: int, pin: str, password: str = PASSWORD, proof: PinProof | None = None
) -> Outcome:
    profile_id = profiles(story)[number].profile_id
    command = SetPin(account_id=ACCOUNT_ID, profile_id=profile_id, sealed=b"", proof=proof)
    return story.tell(command, Credentials(pin=pin, password=password))


def unlock(story: Story, number: int, pin: str) -> Outcome:
    profile_id = profiles(story)[number].profile_id
    command = UnlockProfile(account_id=ACCOUNT_ID, profile_id=profile_id, sealed=b"")
    return story.tell(command, Credentials(pin=pin))


def proof_of(story: Story, number: int) -> PinProof:
    profile = profiles(story)[number]
    assert profile.pin_set_at_ms is not None
    return PinProof(profile_id=profile.profile_id, pin_set_at_ms=profile.pin_set_at_ms)


def reason_of(outcome: Outcome) -> str:
    return outcome.answer.reason if isinstance(outcome.answer, Refused) else "ok"


def test_a_pin_is_set_by_the_owner_and_said_by_who_knows_it() -> None:
    story = a_house(18, 6)
    assert reason_of(unlock(story, 0, "4711")) == "no-pin"
    assert reason_of(set_pin(story, 0, "4711", password="wrong")) == "owner"
    assert reason_of(set_pin(story, 0, "12")) == "pin"
    assert reason_of(set_pin(story, 0, "4711")) == "ok"
    assert reason_of(unlock(story, 0, "4712")) == "pin"
    assert story.outcomes[-1].events[0].fact == "unlock_failed"
    answer = unlock(story, 0, "4711").answer
    assert isinstance(answer, Unlocked)
    assert answer.pin_set_at_ms == profiles(story)[0].pin_set_at_ms


def test_another_pin_ends_the_proofs_of_the_one_before() -> None:
    story = a_house(18)
    set_pin(story, 0, "4711")
    old = proof_of(story, 0)
    assert reason_of(set_pin(story, 0, "1234", password="", proof=old)) == "ok"
    assert proof_of(story, 0) != old
    assert reason_of(set_pin(story, 0, "", password="", proof=old)) == "owner"
    assert reason_of(set_pin(story, 0, "")) == "ok"
    assert profiles(story)[0].pin_set_at_ms is None
    assert story.state is not None
    assert story.state.private.pins == {}


def test_an_account_without_a_password_sets_its_first_pin_and_keeps_it_by_knowing_it() -> None:
    story = Story()
    story.tell(EnsureAccount(account_id=ACCOUNT_ID))
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Ada"))
    assert reason_of(set_pin(story, 0, "4711", password="")) == "ok"
    assert reason_of(set_pin(story, 0, "1234", password="")) == "owner"
    assert reason_of(set_pin(story, 0, "1234", password="", proof=proof_of(story, 0))) == "ok"


def test_a_guarded_profile_is_changed_and_removed_only_by_a_proof_that_reaches_it() -> None:
    story = a_house(18, 6, 12)
    set_pin(story, 0, "4711")
    set_pin(story, 2, "1212")
    parent, teen = proof_of(story, 0), proof_of(story, 2)
    parent_id, _, teen_id = (profile.profile_id for profile in profiles(story))

    def rename(profile_id: str, proof: PinProof | None) -> str:
        command = UpdateProfile(
            account_id=ACCOUNT_ID,
            profile_id=profile_id,
            name=f"renamed {story.asked}",
            proof=proof,
        )
        return reason_of(story.tell(command))

    assert [rename(parent_id, proof) for proof in (None, teen, parent)] == [
        "profile-pin",
        "profile-pin",
        "ok",
    ]
    assert [rename(teen_id, proof) for proof in (None, teen, parent)] == ["profile-pin", "ok", "ok"]
    for proof, said in ((None, "profile-pin"), (teen, "profile-pin"), (parent, "ok")):
        command = DeleteProfile(account_id=ACCOUNT_ID, profile_id=parent_id, proof=proof)
        assert reason_of(story.tell(command)) == said


def test_a_child_raises_neither_itself_nor_makes_itself_older() -> None:
    story = a_house(18, 6)
    set_pin(story, 0, "4711")
    child = profiles(story)[1].profile_id
    raise_it = UpdateProfile(account_id=ACCOUNT_ID, profile_id=child, maturity=18)
    make_one = CreateProfile(account_id=ACCOUNT_ID, name="older", maturity=7)
    assert reason_of(story.tell(raise_it)) == "profile-pin"
    assert reason_of(story.tell(make_one)) == "profile-pin"
    lower = UpdateProfile(account_id=ACCOUNT_ID, profile_id=child, maturity=0)
    assert reason_of(story.tell(lower)) == "ok"


def test_without_any_pin_everything_is_free() -> None:
    story = a_house(6)
    profile_id = profiles(story)[0].profile_id
    raise_it = UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id, maturity=21)
    answer = story.tell(raise_it).answer
    assert isinstance(answer, AccountView)
    assert answer.profiles[0].maturity == 21


def reachable(story: Story) -> int:
    """The age that can be watched without any PIN."""
    return max((p.maturity for p in profiles(story) if p.pin_set_at_ms is None), default=-1)


MOVES = st.tuples(
    st.sampled_from(["create", "update", "delete"]), st.integers(0, 4), st.integers(0, 21)
)


@given(
    st.lists(st.integers(0, 21), min_size=1, max_size=4),
    st.lists(MOVES, max_size=12),
)
def test_nothing_done_without_a_pin_raises_what_is_reached_without_one(
    maturities: list[int], moves: list[tuple[str, int, int]]
) -> None:
    story = a_house(*maturities)
    set_pin(story, 0, "4711")
    limit = reachable(story)
    guarded = profiles(story)[0]
    for kind, number, maturity in moves:
        viewers = profiles(story)
        profile_id = viewers[number % len(viewers)].profile_id if viewers else "none"
        commands: dict[str, CreateProfile | UpdateProfile | DeleteProfile] = {
            "create": CreateProfile(account_id=ACCOUNT_ID, name="x", maturity=maturity),
            "update": UpdateProfile(
                account_id=ACCOUNT_ID, profile_id=profile_id, maturity=maturity
            ),
            "delete": DeleteProfile(account_id=ACCOUNT_ID, profile_id=profile_id),
        }
        story.tell(commands[kind])
        assert reachable(story) <= limit
        assert guarded in profiles(story)
        limit = reachable(story)


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "१२३४", "12 34", "1234\n"])
def test_only_four_to_eight_digits_are_a_pin(pin: str) -> None:
    story = a_house(18)
    before = profiles(story)
    outcome = set_pin(story, 0, pin)
    if pin:
        assert reason_of(outcome) == "pin"
    assert [p.pin_set_at_ms for p in profiles(story)] == [p.pin_set_at_ms for p in before]
