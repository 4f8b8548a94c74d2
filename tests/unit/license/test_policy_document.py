"""A policy as TOML: what is written is read again, and a mistake is told with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.plans import ALL_TIERS, CANARY, DAY_MS, POLICY, LicensePolicy, Plan, Terms
from agents.license.policy_document import PolicyError, policy_schema, read_policy, write_policy
from infra.policies import policy_in_force
from infra.settings import SettingsError, load_settings
from schemas.accounts import CANARY_PLAN
from schemas.licenses import Protection

SOUND = write_policy(POLICY)

SMALL = """
version = "mine.1"
playing_states = ["active"]
concurrency = "stop-oldest"

[terms]
regions_allowed = ["DE", "AT"]
anonymizers_refused = ["vpn", "tor"]
clear_key_tiers = ["audio", "sd"]

[plans.all]
streams_max = 3
devices_max = 5
tiers = ["audio", "sd", "hd"]
max_height = 1080
max_bitrate_kbps = 0

[protections.hd]
robustness = "hardware"
hdcp = "1.4"

[titles.tide]
rights_from = 2026-12-01T00:00:00+01:00
rental_ms = 172800000
plans = ["all"]
"""


def bare(policy: LicensePolicy) -> LicensePolicy:
    return replace(policy, version=policy.version.partition("+")[0])


def test_a_small_policy_has_the_defaults_beside_what_it_says() -> None:
    policy = read_policy(SMALL)
    assert policy.plans.keys() == {"all", CANARY_PLAN}
    assert policy.plans[CANARY_PLAN] == CANARY
    assert (policy.concurrency, policy.lease_ms) == ("stop-oldest", 30_000)
    tide = policy.terms_of("tide")
    assert tide.regions_allowed == ("DE", "AT"), "what a title leaves out is as in [terms]"
    assert tide.rights_from == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert (tide.rental_ms, tide.plans) == (2 * DAY_MS, ("all",))
    assert policy.terms_of("another").rental_ms == 0


def test_the_version_tells_two_documents_apart_that_say_the_same_one() -> None:
    first, second = (
        read_policy(SMALL),
        read_policy(SMALL.replace("streams_max = 3", "streams_max = 4")),
    )
    assert first.version.startswith("mine.1+")
    assert first.version != second.version
    assert read_policy("# a comment\n" + SMALL).version == first.version


instants = st.integers(1_500_000_000, 1_800_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
tiers = st.lists(st.sampled_from(ALL_TIERS), min_size=1, unique=True).map(tuple)
models = st.lists(st.text(min_size=1, max_size=20), max_size=3).map(tuple)
terms = st.builds(
    Terms,
    regions_allowed=st.sampled_from([(), ("DE",), ("DE", "AT")]),
    regions_refused=st.sampled_from([(), ("FR",)]),
    anonymizers_refused=st.sampled_from([(), ("vpn", "hosting")]),
    rights_from=instants,
    rights_until=st.just(datetime(2030, 1, 1, tzinfo=UTC)),
    plans=st.sampled_from([(), ("all",)]),
    maturity=st.integers(0, 21),
    models_allowed=models,
    models_refused=models,
    tiers=tiers,
    clear_key_tiers=tiers,
    is_persistent=st.booleans(),
    rental_ms=st.integers(0, DAY_MS),
    playback_ms=st.integers(0, DAY_MS),
)
plans = st.builds(
    Plan,
    streams_max=st.integers(0, 100),
    devices_max=st.integers(0, 100),
    tiers=tiers,
    max_height=st.integers(0, 4_320),
    max_bitrate_kbps=st.integers(0, 50_000),
)
policies = st.builds(
    LicensePolicy,
    version=st.from_regex(r"\A[A-Za-z0-9._-]{1,64}\Z"),
    playing_states=st.sampled_from([frozenset({"active"}), frozenset({"trial", "grace"})]),
    concurrency=st.sampled_from(["block-new", "stop-oldest"]),
    hdcp_max_heights=st.dictionaries(st.sampled_from(["none", "1.4"]), st.integers(0, 1080)),
    terms=terms,
    plans=plans.map(lambda plan: {"all": plan, CANARY_PLAN: CANARY}),
    protections=st.fixed_dictionaries(
        dict.fromkeys(
            ALL_TIERS, st.builds(Protection, robustness=st.sampled_from(["software", "hardware"]))
        )
    ),
    titles=st.dictionaries(st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,20}\Z"), terms, max_size=3),
)


@given(policies)
def test_what_is_written_is_read_again(policy: LicensePolicy) -> None:
    again = read_policy(write_policy(policy))
    assert bare(again) == policy
    assert write_policy(again) == write_policy(policy)


@pytest.mark.parametrize(
    ("was", "is_now", "said"),
    [
        ("streams_max = 1\n", "streams_mx = 1\n", "plans.basic.streams_mx: there is no such"),
        ("streams_max = 1\n", "streams_mx = 1\n", "did you mean streams_max?"),
        ("streams_max = 1\n", "streams_max = -1\n", "plans.basic.streams_max: Expected `int` >= 0"),
        ("streams_max = 1\n", "", "plans.basic: Object missing required field `streams_max`"),
        ("lease_ms = 30000", "lease_ms = 100", "lease_ms: Expected `int` >= 15000"),
        ("lease_ms = 30000", "lease_ms = 600000\nidle = 1", "idle: there is no such setting"),
        ('"1.4" = 1080', '"1.5" = 1080', "hdcp_max_heights: Invalid enum value '1.5'"),
        ('hdcp = "2.2"', 'hdpc = "2.2"', "protections.uhd.hdpc: there is no such setting"),
        ("[plans.basic]", "[plans.canary]", "plans.canary: it is the probe's own"),
        ("idle_ms = 600000", "idle_ms = 20000", "idle_ms: a session may not die before"),
        ("renewal_ms = 300000", "renewal_ms = 86400000", "terms.renewal_ms: must be below"),
        ("regions_allowed = []", 'regions_allowed = ["Germany"]', "terms.regions_allowed[0]"),
        ("version =", "version", "this is no TOML"),
        (
            "# rights_from is not set",
            "rights_from = 2026-01-02T00:00:00Z\nrights_until = 2026-01-01T00:00:00Z",
            "terms.rights_until: the rights end before they start",
        ),
        (
            "# rights_from is not set",
            "rights_from = 2026-01-02T00:00:00",
            "terms.rights_from: Expected `datetime` with a timezone",
        ),
        ("# plans is not set", 'plans = ["gold"]', "terms.plans: no plan is named gold"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_do(was: str, is_now: str, said: str) -> None:
    assert was in SOUND
    with pytest.raises(PolicyError) as refused:
        read_policy(SOUND.replace(was, is_now, 1))
    assert said in str(refused.value)


def test_a_tier_whose_keys_nobody_gives_is_told() -> None:
    keyless = SMALL.replace("[protections.hd]", "[protections.uhd]")
    with pytest.raises(PolicyError, match=r"terms.clear_key_tiers: nobody would give .* hd: name"):
        read_policy(keyless)


def test_every_unsound_value_is_told_at_once() -> None:
    twice = SOUND.replace("# plans is not set", 'plans = ["gold"]\n', 1)
    twice = twice.replace("idle_ms = 600000", "idle_ms = 20000")
    with pytest.raises(PolicyError) as refused:
        read_policy(twice)
    assert len(str(refused.value).splitlines()) == 2


def test_every_value_is_documented() -> None:
    schema = msgspec.json.decode(policy_schema())
    for name in ("LicensePolicy", "Terms", "Plan"):
        properties: dict[str, Any] = schema["$defs"][name]["properties"]
        assert all("description" in each for each in properties.values()), name


def test_the_setting_names_the_policy_in_force(tmp_path: Any) -> None:
    assert policy_in_force(load_settings({}, tmp_path / ".env")) is POLICY
    file = tmp_path / "policy.toml"
    file.write_text(SMALL)
    settings = load_settings({"PLAYHEAD_LICENSE_POLICY": str(file)}, tmp_path / ".env")
    assert policy_in_force(settings) == read_policy(SMALL)
    file.write_text(SMALL.replace("all", "ALL"))
    with pytest.raises(SettingsError) as refused:
        policy_in_force(settings)
    assert "\n" not in str(refused.value)
    file.unlink()
    with pytest.raises(SettingsError, match="name a TOML file"):
        policy_in_force(settings)
