"""The one registry of topics: names, keys, types, retention, their one writer and their readers.

The topics on the broker, the AsyncAPI document and what analytics stores come from it.
"""

from __future__ import annotations

from typing import Final

from schemas.accounts import Account, AccountEvent, DataKey
from schemas.bitrate import BitrateDecision, PopulationBlock
from schemas.catalog import Title
from schemas.delivery import LedgerEntry
from schemas.envelope import Enrollment, Request
from schemas.events import PlaybackEvent
from schemas.experiments import Experiment
from schemas.folds import SessionFold
from schemas.licenses import KeyEncryptionKey, LicenseDecision, WrappedKey
from schemas.operations import HandledLetter
from schemas.packaging import KeysDelivered
from schemas.recommendations import ModelStart, Recommendations, TitleFeedback
from schemas.revocations import Revocation
from schemas.sessions import Lease, Session, SessionControl
from schemas.steering import CdnSettings, SteeringDecision
from schemas.watching import SessionSummary, Watch
from streams.topic import Family, Topic

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_GIB: Final = 1 << 30

PLAYBACK_EVENTS: Final = Topic(
    name="playback.events.v1",
    carries="what viewers do: play, playing, pause, seek, buffering, heartbeat, stop, error",
    key="session_id",
    value=PlaybackEvent,
    family=Family.SESSION,
    writer="gateway",
    readers=("fold", "analytics", "bitrate", "steering"),
    retention_ms=7 * _DAY_MS,
    retention_bytes=20 * _GIB,
    has_dead_letters=True,
)
PLAYBACK_BANDWIDTH: Final = Topic(
    name="playback.bandwidth.v1",
    carries="throughput, latency and buffer, mostly per segment; high volume",
    key="session_id",
    value=PlaybackEvent,
    family=Family.SESSION,
    writer="gateway",
    readers=("bitrate", "steering", "fold", "analytics"),
    retention_ms=2 * _DAY_MS,
    retention_bytes=20 * _GIB,
    has_dead_letters=True,
)
SESSION_SUMMARIES: Final = Topic(
    name="session.summaries.v1",
    carries="the fold of a session: its QoE so far, versioned",
    key="session_id",
    value=SessionSummary,
    family=Family.SESSION,
    writer="fold",
    readers=("analytics",),
    retention_ms=7 * _DAY_MS,
    has_dead_letters=True,
)
SESSION_FOLDS: Final = Topic(
    name="session.folds.v1",
    carries="the state of the session fold: what its workers go on from",
    key="session_id",
    value=SessionFold,
    family=Family.SESSION,
    writer="fold",
    readers=("fold",),
    is_compacted=True,
)
WATCHES: Final = Topic(
    name="watches.v1",
    carries="a profile started, progressed in, completed or abandoned a content",
    key="profile_id",
    value=Watch,
    family=Family.PROFILE,
    writer="fold",
    readers=("recommendation", "analytics"),
    retention_ms=30 * _DAY_MS,
    is_recorded=True,
    has_dead_letters=True,
)
ACCOUNT_REQUESTS: Final = Topic(
    name="account.requests.v1",
    carries="commands to the account agent; passwords and names only sealed to its key",
    key="account_id",
    value=Request,
    family=Family.ACCOUNT,
    writer="gateway",
    readers=("account",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
ACCOUNT_EVENTS: Final = Topic(
    name="account.events.v1",
    carries="what happened to an account and what it is since, without personal fields; kept for "
    "ever: every past state is folded from it",
    key="account_id",
    value=AccountEvent,
    family=Family.ACCOUNT,
    writer="account",
    readers=("analytics",),
    is_authenticated=True,
    is_recorded=True,
    has_dead_letters=True,
)
ACCOUNTS: Final = Topic(
    name="accounts.v1",
    carries="the state of an account; credentials sealed to their owner",
    key="account_id",
    value=Account,
    family=Family.ACCOUNT,
    writer="account",
    readers=("account", "license", "recommendation"),
    is_compacted=True,
    is_authenticated=True,
)
ACCOUNT_KEYS: Final = Topic(
    name="account.keys.v1",
    carries="each account's own key, only wrapped; removed, nothing of the account can be read",
    key="account_id",
    value=DataKey,
    family=Family.ACCOUNT,
    writer="account",
    readers=("account",),
    is_compacted=True,
    forgets_within_ms=_HOUR_MS,
    is_authenticated=True,
)
LICENSE_REQUESTS: Final = Topic(
    name="license.requests.v1",
    carries="open, extend and end sessions; licenses; devices",
    key="account_id",
    value=Request,
    family=Family.ACCOUNT,
    writer="gateway",
    readers=("license",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
LICENSE_DECISIONS: Final = Topic(
    name="license.decisions.v1",
    carries="granted or denied, why, every fact used; slot ledger and audit chain; never a key",
    key="account_id",
    value=LicenseDecision,
    family=Family.ACCOUNT,
    writer="license",
    readers=("license", "analytics"),
    retention_ms=400 * _DAY_MS,
    is_authenticated=True,
    is_recorded=True,
    has_dead_letters=True,
    is_chained=True,
)
SESSIONS: Final = Topic(
    name="sessions.v1",
    carries="opened and ended sessions, and what they may play",
    key="session_id",
    value=Session,
    family=Family.SESSION,
    writer="license",
    readers=("license", "bitrate", "analytics"),
    retention_ms=30 * _DAY_MS,
    is_authenticated=True,
    is_recorded=True,
    has_dead_letters=True,
)
SESSION_LEASES: Final = Topic(
    name="session.leases.v1",
    carries="the session is alive",
    key="account_id",
    value=Lease,
    family=Family.ACCOUNT,
    writer="gateway",
    readers=("license",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
REVOCATIONS: Final = Topic(
    name="revocations.v1",
    carries="accounts, devices, models, keys, sessions and tokens that an operator took back",
    key="kind:subject",
    value=Revocation,
    writer="operator",
    readers=("license", "gateway", "analytics"),
    is_compacted=True,
    is_authenticated=True,
    is_recorded=True,
)
SESSION_CONTROL: Final = Topic(
    name="session.control.v1",
    carries="sessions that gateways and edges refuse",
    key="session_id",
    value=SessionControl,
    family=Family.SESSION,
    writer="license",
    readers=("gateway",),
    retention_ms=2 * _DAY_MS,
    is_authenticated=True,
)
KEY_REQUESTS: Final = Topic(
    name="key.requests.v1",
    carries="a packager asks for a content's keys, an operator to rotate what wraps them",
    key="content_id",
    value=Request,
    writer="packager",
    readers=("license",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
KEY_DELIVERIES: Final = Topic(
    name="key.deliveries.v1",
    carries="whom a content's keys were given, before they are; never a key",
    key="content_id",
    value=KeysDelivered,
    writer="license",
    readers=("analytics",),
    retention_ms=400 * _DAY_MS,
    is_authenticated=True,
    is_recorded=True,
    has_dead_letters=True,
)
CONTENT_KEYS: Final = Topic(
    name="content.keys.v1",
    carries="content keys, only wrapped",
    key="key_id",
    value=WrappedKey,
    writer="license",
    readers=("license",),
    is_compacted=True,
    is_authenticated=True,
)
KEY_ENCRYPTION_KEYS: Final = Topic(
    name="key.encryption.keys.v1",
    carries="versions of what wraps content keys, only wrapped by the root",
    key="kek_id",
    value=KeyEncryptionKey,
    writer="license",
    readers=("license",),
    is_compacted=True,
    is_authenticated=True,
)
BITRATE_DECISIONS: Final = Topic(
    name="bitrate.decisions.v1",
    carries="a session's ceiling, the rendition below it, and why; only on change",
    key="session_id",
    value=BitrateDecision,
    family=Family.SESSION,
    writer="bitrate",
    readers=("gateway", "analytics", "bitrate"),
    retention_ms=30 * _DAY_MS,
    is_recorded=True,
    has_dead_letters=True,
)
BITRATE_POPULATION: Final = Topic(
    name="bitrate.population.v1",
    carries="what the bitrate workers remember of the sessions they followed, in blocks",
    key="worker, memory and number of the block",
    value=PopulationBlock,
    writer="bitrate",
    readers=("bitrate",),
    is_compacted=True,
    is_authenticated=True,
)
RECOMMENDATION_REQUESTS: Final = Topic(
    name="recommendation.requests.v1",
    carries="a profile's rows or resume point are asked for, or it says what it likes",
    key="profile_id",
    value=Request,
    family=Family.PROFILE,
    writer="gateway",
    readers=("recommendation",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
RECOMMENDATION_UPDATES: Final = Topic(
    name="recommendation.updates.v1",
    carries="a profile's ranked titles, after each change",
    key="profile_id",
    value=Recommendations,
    family=Family.PROFILE,
    writer="recommendation",
    readers=("gateway",),
    is_compacted=True,
)
RECOMMENDATIONS_SERVED: Final = Topic(
    name="recommendations.served.v1",
    carries="the rows that were answered",
    key="profile_id",
    value=Recommendations,
    family=Family.PROFILE,
    writer="recommendation",
    readers=("analytics",),
    retention_ms=7 * _DAY_MS,
    is_recorded=True,
    has_dead_letters=True,
)
TITLE_FEEDBACK: Final = Topic(
    name="title.feedback.v1",
    carries="what a profile says of a title: thumb up or down, hidden, on its list",
    key="profile_id:content_id",
    value=TitleFeedback,
    writer="recommendation",
    readers=("recommendation", "analytics"),
    is_compacted=True,
    is_recorded=True,
)
RECOMMENDATION_MODELS: Final = Topic(
    name="recommendation.models.v1",
    carries="from when on the title model learns, as operators rebuild it",
    key="titles",
    value=ModelStart,
    writer="operator",
    readers=("recommendation", "analytics"),
    is_compacted=True,
    is_authenticated=True,
    is_recorded=True,
)
STEERING_DECISIONS: Final = Topic(
    name="steering.decisions.v1",
    carries="the order of CDNs per cohort, and why; only on change",
    key="cohort",
    value=SteeringDecision,
    writer="steering",
    readers=("gateway", "analytics"),
    retention_ms=30 * _DAY_MS,
    is_recorded=True,
    has_dead_letters=True,
)
CDN_SETTINGS: Final = Topic(
    name="cdn.settings.v1",
    carries="what operators say of CDNs: capacity, commit, price, drained or not",
    key="cdn",
    value=CdnSettings,
    writer="operator",
    readers=("steering", "analytics"),
    is_compacted=True,
    is_authenticated=True,
    is_recorded=True,
)
CATALOG_REQUESTS: Final = Topic(
    name="catalog.requests.v1",
    carries="titles to store or remove",
    key="content_id",
    value=Request,
    writer="gateway",
    readers=("catalog",),
    retention_ms=_HOUR_MS,
    has_dead_letters=True,
)
CATALOG_TITLES: Final = Topic(
    name="catalog.titles.v1",
    carries="titles, renditions and where they are stored",
    key="content_id",
    value=Title,
    writer="catalog",
    readers=("catalog", "license", "bitrate", "recommendation", "gateway", "analytics"),
    is_compacted=True,
    is_authenticated=True,
    is_recorded=True,
)
SIGNING_KEYS: Final = Topic(
    name="signing.keys.v1",
    carries="public keys of components, signed by the deployment's root",
    key="key_id",
    value=Enrollment,
    writer="operator",
    readers=("gateway", "account", "license", "recommendation", "catalog"),
    is_compacted=True,
)
GATEWAY_REPLIES: Final = Topic(
    name="gateway.replies.v1",
    carries="sealed answers to requests",
    key="request_id",
    value=bytes,
    family=Family.REPLIES,
    writer="agents",
    readers=("gateway",),
    retention_ms=600_000,
)
GATEWAY_LEDGER: Final = Topic(
    name="gateway.ledger.v1",
    carries="accepted, refused, unavailable and shed events per minute and topic",
    key="gateway",
    value=LedgerEntry,
    writer="gateway",
    readers=("analytics",),
    retention_ms=30 * _DAY_MS,
    is_recorded=True,
    has_dead_letters=True,
)
EXPERIMENTS: Final = Topic(
    name="experiments.v1",
    carries="experiments: their arms, shares and policies, until when, and why no longer",
    key="name",
    value=Experiment,
    writer="operator",
    readers=("gateway", "bitrate", "analytics"),
    is_compacted=True,
    is_authenticated=True,
    is_recorded=True,
)
DEAD_LETTERS_HANDLED: Final = Topic(
    name="dead.letters.handled.v1",
    carries="dead letters that an operator drove back or gave up; kept longer than the letters",
    key="letter_topic:letter_offset",
    value=HandledLetter,
    writer="operator",
    readers=("operator", "analytics"),
    retention_ms=31 * _DAY_MS,
    is_authenticated=True,
    is_recorded=True,
)

TOPICS: Final[tuple[Topic, ...]] = tuple(
    topic for topic in list(globals().values()) if isinstance(topic, Topic)
)
"""Every topic above, in its order."""

BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}
