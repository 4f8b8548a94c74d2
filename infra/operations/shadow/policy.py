"""What past decisions would have been under another policy: read, judged again, counted.

Nothing is asked, issued or written, and nothing but `license.decisions.v1` is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from agents.analytics.windows import Window
from agents.license.past import Before, Change, Rejudged, rejudge
from agents.license.plans import LicensePolicy
from infra.operations.shadow.reading import ShadowReader
from schemas.catalog import Tier
from schemas.licenses import LicenseDecision, Rental
from streams.topics import LICENSE_DECISIONS

K = TypeVar("K")
V = TypeVar("V")

SUBJECTS_MAX: Final = 200_000
OTHERS: Final = "(others)"
"""Those past the first `SUBJECTS_MAX`, together."""
SHOWN_EVERY: Final = 500


class Changes(msgspec.Struct, kw_only=True):
    """How many decisions on one subject would be others."""

    gains: int = 0
    """Denied then, granted now."""
    loses: int = 0
    better: int = 0
    """Granted both times, and more: tiers, lines, bitrate or time."""
    worse: int = 0
    undecided: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.gains + self.loses + self.better + self.worse + self.undecided


class PolicyReport(msgspec.Struct, kw_only=True):
    """What came of it."""

    policy_version: str
    total: int = 0
    """Records of the window."""
    read: int = 0
    unreadable: int = 0
    void: int = 0
    """Never counted: of two workers another was first. Not judged again."""
    outside: int = 0
    """Decisions that no policy makes: ends, lapses, foreign keys; and the canary's."""
    same: int = 0
    changes: Changes = msgspec.field(default_factory=Changes)
    accounts: Changes = msgspec.field(default_factory=Changes)
    """How many accounts see each of them."""
    stopped: int = 0
    """Sessions that would have had to end for another."""
    by_rule: dict[str, Changes] = {}
    by_title: dict[str, Changes] = {}
    by_account: dict[str, Changes] = {}
    lacking: dict[str, int] = {}
    """Facts that undecided ones lack, by how many lack it."""
    policy_versions: dict[str, int] = {}
    """What was followed then, by decisions."""

    @property
    def has_losses(self) -> bool:
        """Whether somebody would lose, or nobody can tell."""
        return bool(self.changes.loses or self.changes.worse or self.changes.undecided)


class PolicyTally:
    """Counts decisions of the log, account by account in their order."""

    def __init__(self, policy: LicensePolicy) -> None:
        self._policy = policy
        self._rentals: dict[tuple[str, str], Rental] = {}
        self._session_tiers: dict[str, tuple[Tier, ...]] = {}
        self._lacking: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self.report = PolicyReport(policy_version=policy.version)

    def take(self, decision: LicenseDecision) -> None:
        """Judge one again."""
        place = (decision.account_id, decision.content_id)
        found = None
        if not decision.canary:
            before = Before(
                rental=self._rentals.get(place),
                session_tiers=self._session_tiers.get(decision.session_id),
            )
            found = rejudge(decision, self._policy, before)
        if found is None:
            self.report.outside += 1
            return
        self._versions[decision.policy_version] += 1
        _keep(self._rentals, place, found.rental)
        _keep(self._session_tiers, decision.session_id, found.session_tiers)
        self.report.stopped += found.stopped_count
        if found.change == "same":
            self.report.same += 1
            return
        self._count(decision, found)

    def finish(self) -> PolicyReport:
        """The report with what is counted at the end, largest first."""
        report = self.report
        for changes in report.by_account.values():
            for name in Changes.__struct_fields__:
                seen = getattr(report.accounts, name) + bool(getattr(changes, name))
                setattr(report.accounts, name, seen)
        report.by_rule, report.by_title, report.by_account = (
            dict(sorted(each.items(), key=lambda item: -item[1].total))
            for each in (report.by_rule, report.by_title, report.by_account)
        )
        report.lacking = dict(self._lacking.most_common())
        report.policy_versions = dict(self._versions.most_common())
        return report

    def _count(self, decision: LicenseDecision, found: Rejudged) -> None:
        report, change = self.report, found.change
        _add(report.changes, change)
        self._lacking.update(found.lacks)
        _add(_of(report.by_rule, found.rule or "facts are lacking"), change)
        _add(_of(report.by_title, decision.content_id), change)
        _add(_of(report.by_account, decision.account_id), change)


def _keep(values: dict[K, V], key: K, value: V | None) -> None:
    if value is not None and (key in values or len(values) < SUBJECTS_MAX):
        values[key] = value


def _of(subjects: dict[str, Changes], name: str) -> Changes:
    if name not in subjects and len(subjects) >= SUBJECTS_MAX:
        name = OTHERS
    return subjects.setdefault(name, Changes())


def _add(changes: Changes, change: Change) -> None:
    setattr(changes, change, getattr(changes, change) + 1)


async def simulate_policy(
    reader: ShadowReader,
    policy: LicensePolicy,
    window: Window,
    on_progress: Callable[[PolicyReport], None],
) -> PolicyReport:
    """Every decision of the window, partition by partition: an account lies in one."""
    tally = PolicyTally(policy)
    spans = await reader.spans(LICENSE_DECISIONS, window)
    tally.report.total = sum(span.end - span.start for span in spans.values())
    for span in spans.values():
        async for record in reader.records(LICENSE_DECISIONS, span):
            tally.report.read += 1
            tally.take(record.value)
            if tally.report.read % SHOWN_EVERY == 0:
                on_progress(tally.report)
    tally.report.unreadable = reader.unreadable_count
    tally.report.void = reader.void_count
    on_progress(tally.report)
    return tally.finish()
