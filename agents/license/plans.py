"""The license policy as data: plans, terms of titles, what a tier asks of a device, limits.

An operator's own one is read by `policy_document`. Who changes it raises `version`: every decision
says which one it followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.accounts import CANARY_PLAN, Account
from schemas.catalog import ContentId, Tier
from schemas.licenses import Protection
from schemas.sessions import Anonymizer, Region
from schemas.subscriptions import SubscriptionState

DAY_MS: Final = 24 * 3_600_000
ALL_TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
HDCP_VERSIONS: Final = (
    "none", "1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1", "2.2", "2.3",
)  # fmt: skip
"""Weakest first."""

Concurrency = Literal["block-new", "stop-oldest"]
HDCPVersion = Literal["none", "1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1", "2.2", "2.3"]
Lines = Annotated[int, Meta(ge=0, le=16_384)]
PlanName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Instant = Annotated[datetime, Meta(tz=True)]
Models = tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan includes."""

    streams_max: Annotated[
        int, Meta(ge=0, le=100, description="sessions of an account that play at the same time")
    ]
    devices_max: Annotated[int, Meta(ge=0, le=1_000, description="devices that it may register")]
    tiers: Annotated[tuple[Tier, ...], Meta(description="audio, sd, hd, uhd")]
    max_height: Annotated[Lines, Meta(description="lines of the best picture")]
    max_bitrate_kbps: Annotated[
        int, Meta(ge=0, description="video and audio together; 0: no limit")
    ]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On what terms a title may be played.

    Regions, models, window and tiers narrow what catalog, plan and device allow. Plans and
    maturity stand in the catalog's place.
    """

    regions_allowed: Annotated[
        tuple[Region, ...],
        Meta(description="ISO 3166-1; only there, and not where the region is unknown; empty: all"),
    ] = ()
    regions_refused: Annotated[
        tuple[Region, ...],
        Meta(description="not there, and not where the region is unknown"),
    ] = ()
    anonymizers_refused: Annotated[
        tuple[Anonymizer, ...],
        Meta(
            description="vpn, hosting, public-proxy, residential-proxy, tor: not from addresses "
            "that PLAYHEAD_ANONYMIZER_DATABASE or PLAYHEAD_REGION_DATABASE calls so"
        ),
    ] = ()
    rights_from: Annotated[
        Instant | None, Meta(description="start of the rights: 2026-12-01T00:00:00Z")
    ] = None
    rights_until: Annotated[
        Instant | None, Meta(description="end of the rights: nothing plays from then on")
    ] = None
    plans: Annotated[
        tuple[PlanName, ...] | None,
        Meta(description="plans that include it, whatever the catalog says; []: every plan"),
    ] = None
    maturity: Annotated[
        Annotated[int, Meta(ge=0, le=21)] | None,
        Meta(description="least age in years, whatever the catalog says"),
    ] = None
    models_allowed: Annotated[
        Models,
        Meta(
            description="device models, * stands for anything; only these, and not one that does "
            "not say its model; empty: all"
        ),
    ] = ()
    models_refused: Annotated[Models, Meta(description="not on these models")] = ()
    tiers: Annotated[tuple[Tier, ...], Meta(description="at most these of the plan's tiers")] = (
        ALL_TIERS
    )
    clear_key_tiers: Annotated[
        tuple[Tier, ...],
        Meta(
            description="tiers whose keys players get that hold them in software (ClearKey, HLS "
            'identity, own apps); ["audio", "sd"] leaves HD to upstream DRM, and devices that say '
            "`robustness` hardware"
        ),
    ] = ALL_TIERS
    max_height: Annotated[Lines, Meta(description="lines of the best picture; 0: the plan's")] = 0
    is_persistent: Annotated[
        bool, Meta(description="upstream licenses may be kept, to play offline")
    ] = False
    license_ms: Annotated[
        int,
        Meta(
            ge=1_000,
            le=366 * DAY_MS,
            description="an upstream license ends no later, nor after the right itself; one that "
            "is not kept ends with its session too",
        ),
    ] = DAY_MS
    renewal_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=DAY_MS,
            description="an upstream license is judged anew this often where its system renews "
            "(Widevine); 0: never",
        ),
    ] = 300_000
    rental_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=366 * DAY_MS,
            description="the title is rented: so long after an account first opened it, playback "
            "must have begun; 0: not rented",
        ),
    ] = 0
    playback_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=366 * DAY_MS,
            description="so long after its first license the account may play it; 0: no limit",
        ),
    ] = 0

    @property
    def rights_from_ms(self) -> int | None:
        """Unix ms."""
        return None if self.rights_from is None else round(self.rights_from.timestamp() * 1000)

    @property
    def rights_until_ms(self) -> int | None:
        """Unix ms."""
        return None if self.rights_until is None else round(self.rights_until.timestamp() * 1000)


class LicensePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a license decision follows beside its facts."""

    version: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._+-]{1,64}$",
            description="stands in every decision; raise it with every change",
        ),
    ]
    playing_states: Annotated[
        frozenset[SubscriptionState], Meta(description="states of a subscription that may play")
    ]
    concurrency: Annotated[
        Concurrency,
        Meta(
            description="no stream is free: block-new refuses the new session, stop-oldest ends "
            "the one that was opened first"
        ),
    ] = "block-new"
    lease_ms: Annotated[
        int,
        Meta(
            ge=15_000,
            le=600_000,
            description="grace: a stream without traffic for so long is free for another session; "
            "three heartbeat intervals",
        ),
    ] = 30_000
    session_ms: Annotated[
        int, Meta(ge=60_000, le=DAY_MS, description="a session token lives no longer")
    ] = DAY_MS
    idle_ms: Annotated[
        int, Meta(ge=1_000, le=DAY_MS, description="a session dies this long after its traffic")
    ] = 600_000
    view_age_ms_max: Annotated[
        int,
        Meta(
            ge=1_000,
            le=600_000,
            description="older knowledge of accounts or titles is not decided on",
        ),
    ] = 30_000
    hdcp_max_heights: Annotated[
        Mapping[HDCPVersion, Lines],
        Meta(
            description="lines by the HDCP version that a device says it has; what is not here, "
            "or not said, is no cap"
        ),
    ] = {}
    terms: Annotated[Terms, Meta(description="of every title")] = Terms()
    plans: Annotated[Mapping[PlanName, Plan], Meta(description="what accounts subscribe to")]
    protections: Annotated[
        Mapping[Tier, Protection],
        Meta(
            description="what a device must have for a tier's keys, as upstream services are told: "
            "robustness software or hardware, and the least HDCP version; a tier that is not here "
            "is not licensed by them"
        ),
    ] = {}
    titles: Annotated[
        Mapping[ContentId, Terms],
        Meta(description="terms of single titles, by content id; what is left out is as in terms"),
    ] = {}

    def terms_of(self, content_id: str) -> Terms:
        """The title's own, or those of every title."""
        return self.titles.get(content_id, self.terms)

    def streams_max(self, account: Account | None) -> int:
        """How many streams the account's plan includes; 0 where there is no account or plan."""
        plan = self.plans.get(account.subscription.plan) if account is not None else None
        return plan.streams_max if plan is not None else 0


CANARY: Final = Plan(
    streams_max=2,
    devices_max=10,
    tiers=("audio", "sd"),
    max_height=480,
    max_bitrate_kbps=0,
)
"""The probe's plan, part of every policy."""

POLICY: Final = LicensePolicy(
    version="2026-11-23.2",
    plans={
        "basic": Plan(
            streams_max=1,
            devices_max=3,
            tiers=("audio", "sd"),
            max_height=480,
            max_bitrate_kbps=2_500,
        ),
        "standard": Plan(
            streams_max=2,
            devices_max=5,
            tiers=("audio", "sd", "hd"),
            max_height=1080,
            max_bitrate_kbps=10_000,
        ),
        "premium": Plan(
            streams_max=4,
            devices_max=10,
            tiers=("audio", "sd", "hd", "uhd"),
            max_height=2160,
            max_bitrate_kbps=0,
        ),
        CANARY_PLAN: CANARY,
    },
    playing_states=frozenset({"trial", "active", "grace"}),
    hdcp_max_heights={"none": 576, "1.0": 576, "1.1": 576, "1.2": 576, "1.3": 576, "1.4": 1080},
    protections={  # what the industry asks for by custom
        "audio": Protection(),
        "sd": Protection(),
        "hd": Protection(robustness="hardware", hdcp="1.4"),
        "uhd": Protection(robustness="hardware", hdcp="2.2"),
    },
)
"""The built-in one."""
