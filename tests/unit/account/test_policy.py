from __future__ import annotations

import pytest
from msgspec.structs import replace

from agents.account.outcome import Grant, ResetMail, SignUpMail
from agents.account.rules import DAY_MS, AccountRules
from schemas.accounts import (
    CANARY_PLAN,
    AccountView,
    CreateProfile,
    Credentials,
    DeleteProfile,
    Done,
    EnsureAccount,
    GetAccount,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignOut,
    SignUp,
    UpdateProfile,
)
from schemas.envelope import Refused
from tests.unit.account.story import ACCOUNT_ID, PASSWORD, RULES, Story, token_of


@pytest.fixture
def story() -> Story:
    return Story()


def reason_of(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    return answer.reason


def test_a_sign_up_makes_an_account_without_a_subscription(story: Story) -> None:
    answer = story.sign_up("premium").answer
    assert isinstance(answer, AccountView)
    assert (answer.plan, answer.subscription_state) == ("premium", "none")
    assert story.facts_told == ["account_created"]


def test_a_plan_may_be_tried_where_trials_are_offered() -> None:
    story = Story(rules=replace(RULES, trial_ms=1000))
    answer = story.sign_up("premium").answer
    assert isinstance(answer, AccountView)
    assert answer.subscription_state == "trial"
    assert answer.subscription_until_ms == story.now_ms + 1000


@pytest.mark.parametrize(
    ("email", "password", "plan", "reason"),
    [
        ("no address", PASSWORD, "", "email"),
        ("a@b", "short", "", "password"),
        ("a@b", "x" * 257, "", "password"),
        ("a@b", PASSWORD, "gold", "unknown-plan"),
    ],
)
def test_a_sign_up_is_refused_with_its_reason(
    story: Story, email: str, password: str, plan: str, reason: str
) -> None:
    command = SignUp(account_id=ACCOUNT_ID, sealed=b"", plan=plan)
    outcome = story.tell(command, Credentials(email=email, password=password))
    assert reason_of(outcome.answer) == reason
    assert story.state is None


def test_a_second_sign_up_looks_like_the_first_and_only_the_owner_is_told(story: Story) -> None:
    first = story.sign_up("premium")
    story.sign_in()
    assert story.state is not None
    before = story.state
    again = story.sign_up("premium")
    assert again.answer == first.answer
    assert isinstance(again.mail, SignUpMail)
    assert "ada@" not in repr(again)
    kept = story.state.private
    assert (kept.password_hash, kept.families) == (
        before.private.password_hash,
        before.private.families,
    )
    assert isinstance(story.sign_in().answer, Grant)


def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(story: Story) -> None:
    unknown = story.sign_in().answer
    story.sign_up()
    assert story.sign_in("wrong").answer == unknown
    assert story.facts_told == ["account_created", "sign_in_failed"]


def test_an_account_of_an_outside_identity_has_no_password_to_sign_in_with(story: Story) -> None:
    story.tell(EnsureAccount(account_id=ACCOUNT_ID))
    assert reason_of(story.sign_in("").answer) == "invalid-grant"
    before = story.state
    story.tell(EnsureAccount(account_id=ACCOUNT_ID))
    assert story.state == before


def test_refresh_tokens_rotate_and_each_works_once(story: Story) -> None:
    story.sign_up()
    first = token_of(story.sign_in())
    second = token_of(story.refresh(first))
    third = token_of(story.refresh(second))
    assert len({first, second, third}) == 3


def test_the_reuse_of_an_old_refresh_token_ends_its_family_and_no_other(story: Story) -> None:
    story.sign_up()
    first, other = token_of(story.sign_in()), token_of(story.sign_in())
    second = token_of(story.refresh(first))
    assert reason_of(story.refresh(first).answer) == "invalid-grant"
    assert reason_of(story.refresh(second).answer) == "invalid-grant"
    assert isinstance(story.refresh(other).answer, Grant)
    assert "refresh_token_reused" in story.facts_told


def test_a_made_up_token_ends_no_family(story: Story) -> None:
    story.sign_up()
    token = token_of(story.sign_in())
    for made_up in ("", "x", token[:-2] + "AA", token + "A", "é", "A" * 80, token[:40]):
        assert reason_of(story.refresh(made_up).answer) == "invalid-grant"
    assert isinstance(story.refresh(token).answer, Grant)


def test_refresh_tokens_end_when_idle_or_old(story: Story) -> None:
    story.sign_up()
    token = token_of(story.sign_in())
    story.now_ms += RULES.refresh_idle_ms
    assert reason_of(story.refresh(token).answer) == "invalid-grant"
    token = token_of(story.sign_in())
    for _ in range(6):
        story.now_ms += RULES.refresh_total_ms // 6 - 1
        token = token_of(story.refresh(token))
    story.now_ms += 6
    assert reason_of(story.refresh(token).answer) == "invalid-grant"


def test_the_least_recently_used_sign_in_makes_room(story: Story) -> None:
    story.sign_up()
    tokens = []
    for _ in range(RULES.families_max + 1):
        story.now_ms += 1
        tokens.append(token_of(story.sign_in()))
    assert reason_of(story.refresh(tokens[0]).answer) == "invalid-grant"
    assert isinstance(story.refresh(tokens[1]).answer, Grant)


def test_a_redelivered_request_changes_nothing_and_gets_the_same_answer(story: Story) -> None:
    story.sign_up()
    first = story.sign_in(request_id="sign-in")
    state = story.state
    again = story.sign_in(request_id="sign-in")
    assert token_of(first) == token_of(again)
    assert (story.state, again.state, again.events) == (state, None, ())
    second = story.refresh(token_of(first), request_id="refresh")
    again = story.refresh(token_of(first), request_id="refresh")
    assert token_of(second) == token_of(again)
    assert isinstance(story.refresh(token_of(second)).answer, Grant)
    assert "refresh_token_reused" not in story.facts_told


def test_signing_out_here_or_everywhere_ends_refresh_tokens(story: Story) -> None:
    story.sign_up()
    grants = [story.sign_in().answer for _ in range(3)]
    assert all(isinstance(grant, Grant) for grant in grants)
    first, second, third = (grant for grant in grants if isinstance(grant, Grant))
    story.tell(SignOut(account_id=ACCOUNT_ID, family=first.family))
    assert reason_of(story.refresh(first.refresh_token.text()).answer) == "invalid-grant"
    assert isinstance(story.refresh(second.refresh_token.text()).answer, Grant)
    story.tell(SignOut(account_id=ACCOUNT_ID, everywhere=True))
    assert reason_of(story.refresh(third.refresh_token.text()).answer) == "invalid-grant"


def reset(story: Story, token: str, chosen: str = "a new password") -> object:
    command = ResetPassword(account_id=ACCOUNT_ID, sealed=b"")
    return story.tell(command, Credentials(reset_token=token, password=chosen)).answer


def test_a_password_reset_signs_out_everywhere_and_works_once(story: Story) -> None:
    story.sign_up()
    refresh = token_of(story.sign_in())
    asked = story.tell(RequestPasswordReset(account_id=ACCOUNT_ID, sealed=b""), Credentials())
    assert asked.answer == Done()
    assert isinstance(asked.mail, ResetMail)
    assert reason_of(reset(story, "A" * 64)) == "reset-token"
    assert reason_of(reset(story, asked.mail.token.text(), "short")) == "password"
    assert reset(story, asked.mail.token.text()) == Done()
    assert reason_of(reset(story, asked.mail.token.text())) == "reset-token"
    assert reason_of(story.sign_in().answer) == "invalid-grant"
    assert isinstance(story.sign_in("a new password").answer, Grant)
    assert reason_of(story.refresh(refresh).answer) == "invalid-grant"


def test_a_reset_token_expires_and_an_unknown_account_tells_nothing(story: Story) -> None:
    command = RequestPasswordReset(account_id=ACCOUNT_ID, sealed=b"")
    unknown = story.tell(command, Credentials())
    assert (unknown.answer, unknown.mail) == (Done(), None)
    story.sign_up()
    asked = story.tell(command, Credentials())
    assert isinstance(asked.mail, ResetMail)
    story.now_ms += RULES.reset_ms
    assert reason_of(reset(story, asked.mail.token.text())) == "reset-token"


def test_profiles_are_created_changed_and_deleted_up_to_their_limit(story: Story) -> None:
    story.sign_up()
    for number in range(RULES.profiles_max):
        story.tell(CreateProfile(account_id=ACCOUNT_ID, name=f"viewer {number}", maturity=12))
    full = story.tell(CreateProfile(account_id=ACCOUNT_ID, name="one more"))
    assert reason_of(full.answer) == "profile-limit"
    assert story.state is not None
    profile_id = story.state.account.profiles[3].profile_id
    answer = story.tell(
        UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id, name="Ada", language="de-CH")
    ).answer
    assert isinstance(answer, AccountView)
    assert (answer.profiles[3].name, answer.profiles[3].maturity) == ("Ada", 12)
    answer = story.tell(DeleteProfile(account_id=ACCOUNT_ID, profile_id=profile_id)).answer
    assert isinstance(answer, AccountView)
    assert profile_id not in {profile.profile_id for profile in answer.profiles}
    gone = story.tell(DeleteProfile(account_id=ACCOUNT_ID, profile_id=profile_id))
    assert reason_of(gone.answer) == "unknown-profile"


def test_a_name_comes_sealed_or_from_an_older_gateway(story: Story) -> None:
    story.sign_up()
    create = CreateProfile(account_id=ACCOUNT_ID, sealed=b"")
    assert reason_of(story.tell(create).answer) == "name"
    assert reason_of(story.tell(create, Credentials()).answer) == "name"
    answer = story.tell(create, Credentials(profile_name="n" * 65)).answer
    assert isinstance(answer, AccountView)
    (profile,) = answer.profiles
    assert profile.name == "n" * 64
    change = UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile.profile_id, sealed=b"")
    for credentials, command, name in (
        (Credentials(profile_name="Ada"), change, "Ada"),
        (None, replace(change, sealed=None, name="Bea"), "Bea"),
        (None, replace(change, sealed=None, language="de"), "Bea"),
    ):
        answer = story.tell(command, credentials).answer
        assert isinstance(answer, AccountView)
        assert answer.profiles[0].name == name


def test_a_language_that_is_none_is_refused(story: Story) -> None:
    story.sign_up()
    command = CreateProfile(account_id=ACCOUNT_ID, name="Ada", language="not a tag")
    assert reason_of(story.tell(command).answer) == "language"


def test_billing_sets_the_subscription_and_saying_it_twice_changes_nothing(story: Story) -> None:
    story.sign_up()
    command = SetSubscription(account_id=ACCOUNT_ID, plan="premium", state="active")
    answer = story.tell(command).answer
    assert isinstance(answer, AccountView)
    assert (answer.plan, answer.subscription_state) == ("premium", "active")
    assert story.tell(command).state is None
    unknown = replace(command, plan="gold")
    assert reason_of(story.tell(unknown).answer) == "unknown-plan"


def test_every_change_counts_the_version_up_by_one(story: Story) -> None:
    story.sign_up()
    story.sign_in()
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Ada"))
    versions = [outcome.state.account.version for outcome in story.outcomes if outcome.state]
    assert versions == [1, 2, 3]


def test_what_needs_an_account_is_refused_without_one(story: Story) -> None:
    assert reason_of(story.tell(GetAccount(account_id=ACCOUNT_ID)).answer) == "unknown-account"


def test_nothing_personal_shows_in_events_or_representations(story: Story) -> None:
    story.sign_up()
    token = token_of(story.sign_in())
    shown = repr(story.outcomes) + repr(story.state)
    assert "ada@" not in shown
    assert PASSWORD not in shown
    assert token not in shown


def test_nobody_signs_up_as_the_canary() -> None:
    """Its plan hides what it does from the views; billing alone may give it."""
    story = Story(rules=AccountRules(plans=frozenset({CANARY_PLAN}), trial_ms=DAY_MS))
    assert reason_of(story.sign_up(CANARY_PLAN).answer) == "unknown-plan"
    story.sign_up()
    command = SetSubscription(account_id=ACCOUNT_ID, plan=CANARY_PLAN, state="active")
    assert isinstance(story.tell(command).answer, AccountView)


def test_recommendations_are_turned_off_and_begin_anew(story: Story) -> None:
    story.sign_up()
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Ada"))
    assert story.state is not None
    profile_id = story.state.account.profiles[0].profile_id
    change = UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id)
    off, on = replace(change, is_personalized=False), replace(change, is_personalized=True)
    since_ms = 0
    for command, is_personalized, begins_anew in (
        (on, True, False),
        (off, False, False),
        (off, False, False),
        (replace(change, language="de"), False, False),
        (on, True, True),
        (on, True, False),
        (replace(change, forgets_watched=True), True, True),
    ):
        story.now_ms += 10
        answer = story.tell(command).answer
        assert isinstance(answer, AccountView)
        (profile,) = answer.profiles
        since_ms = story.now_ms if begins_anew else since_ms
        assert (profile.is_personalized, profile.personalized_since_ms) == (
            is_personalized,
            since_ms,
        )
