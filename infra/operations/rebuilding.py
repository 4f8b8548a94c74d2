"""`playhead recommend rebuild`: two title models from one log, their comparison, and the order."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np

from agents.analytics.windows import Window
from agents.recommendation.blend import Blend
from agents.recommendation.choices import Choices
from agents.recommendation.model import Context
from agents.recommendation.offers import Offers
from agents.recommendation.profile import Learned, ProfileState, apply
from agents.recommendation.ridge import solve
from agents.recommendation.tastes import version_of
from agents.recommendation.telling import told_before, told_now
from infra.deployment import Deployment
from infra.operations.log_access import publishing, read_newest, saying_why
from infra.operations.operator import call_gateway, require_keys
from infra.operations.shadow.reading import ShadowReader
from schemas.accounts import Account
from schemas.catalog import Title
from schemas.errors import PlayheadError
from schemas.recommendations import ModelStart
from schemas.watching import Watch
from streams.clock import system_clock
from streams.topics import ACCOUNTS, CATALOG_TITLES, RECOMMENDATION_MODELS, WATCHES

KEY: Final = "titles"
TOP: Final = 10
TAIL_RATIO: Final = 0.2
"""Of the log: its last watches are what both models are asked to foretell."""
TARGETS_MAX: Final = 2_000
PROFILES_MAX: Final = 200
LOOK_S: Final = 0.5
PROBES: Final = 16
"""Made-up profiles asked at each look: their partitions belong to every worker, almost surely."""


class Comparison(msgspec.Struct, kw_only=True):
    """What both models learned, and how well each foretells the log's last part."""

    read: int = 0
    total: int
    learned_old: int = 0
    learned_new: int = 0
    targets: int = 0
    """Titles begun in the last part, of which the models were asked before."""
    hits_old: int = 0
    hits_new: int = 0
    """Of them among the ten best."""
    profiles: int = 0
    overlap_ratio: float | None = None
    """Share of their ten best that both models name, 0 to 1; None: there are no profiles."""

    @property
    def is_worse(self) -> bool:
        """Whether the new model foretells less."""
        return self.hits_new < self.hits_old


class _Model:
    """One model, and from when on it learns."""

    def __init__(self, since_ms: int, offers: Offers) -> None:
        self._since_ms = since_ms
        self._candidates = offers.candidates(np.flatnonzero(offers.listed()))
        self._blend = Blend()
        self.learned = 0

    def best(self, context: Context) -> set[str]:
        """The ten best for a profile."""
        ranked = self._blend.rank(context, self._candidates, TOP)
        return {each.content_id for each in ranked}

    def learn(self, context: Context, learned: Learned) -> None:
        """As the agent does, but that it solves at once."""
        if learned.at_ms < self._since_ms:
            return
        self._blend.learn(context, learned.content_id, learned.weight, learned.at_ms)
        self.learned += 1
        if self._blend.is_solve_due:
            self._blend.adopt(solve(self._blend.snapshot()))


class TwoModels:
    """Both fed with the same watches; pure."""

    def __init__(
        self,
        old_since_ms: int,
        new_since_ms: int,
        titles: Mapping[str, Title],
        total: int,
        choices: Choices | None = None,
    ) -> None:
        self.comparison = Comparison(total=total)
        self._choices = choices or Choices()
        self._offers = Offers()
        for content_id in sorted(titles):
            self._offers.put(content_id, titles[content_id])
        self._old = _Model(old_since_ms, self._offers)
        self._new = _Model(new_since_ms, self._offers)
        self._newest_ms = 0
        self._profiles: dict[str, ProfileState] = {}
        self._tail = int(total * (1 - TAIL_RATIO))
        self._every = max(1, (total - self._tail) // TARGETS_MAX)

    def take(self, watch: Watch) -> None:
        """Ask both, where it is a title begun in the log's last part; then let both learn it."""
        told = self.comparison
        choice = self._choices.of(watch.profile_id)
        if watch.at_ms < choice.since_ms:
            told.read += 1
            return
        profile = self._profiles.setdefault(
            watch.profile_id, ProfileState(is_personalized=choice.is_personalized)
        )
        is_new = watch.content_id not in profile.titles
        self._newest_ms = max(self._newest_ms, watch.at_ms)
        learned = apply(profile, watch)
        if learned is not None:
            context = Context(
                learned.history,
                watch.profile_id,
                region=learned.region,
                os=learned.os,
                told=lambda: told_before(self._offers, profile, learned),
            )
            if is_new and told.read >= self._tail and told.read % self._every == 0:
                self._ask(context, learned.content_id)
            self._old.learn(context, learned)
            self._new.learn(context, learned)
        told.read += 1
        told.learned_old, told.learned_new = self._old.learned, self._new.learned

    def compare(self) -> Comparison:
        """What is known at the log's end."""
        step = max(1, len(self._profiles) // PROFILES_MAX)
        shared = []
        for profile_id, profile in islice(self._profiles.items(), 0, None, step):
            old, new = self._best_now(profile_id, profile)
            shared.append(len(old & new) / max(len(old), len(new), 1))
        self.comparison.profiles = len(shared)
        self.comparison.overlap_ratio = sum(shared) / len(shared) if shared else None
        return self.comparison

    def _best_now(self, profile_id: str, profile: ProfileState) -> tuple[set[str], set[str]]:
        told = told_now(self._offers, profile, self._newest_ms)
        context = Context(profile.history(), profile_id, told=lambda: told)
        return self._old.best(context), self._new.best(context)

    def _ask(self, context: Context, content_id: str) -> None:
        told = self.comparison
        told.targets += 1
        told.hits_old += content_id in self._old.best(context)
        told.hits_new += content_id in self._new.best(context)


async def compare_models(
    deployment: Deployment, since_ms: int, on_progress: Callable[[Comparison], None]
) -> Comparison:
    """Both models from the log as it is now, in this process. Raises PlayheadError."""
    state_key = require_keys(deployment).state_key()
    titles: dict[str, Title] = await read_newest(deployment, CATALOG_TITLES)
    orders: dict[str, ModelStart] = await read_newest(deployment, RECOMMENDATION_MODELS)
    accounts: dict[str, Account] = await read_newest(deployment, ACCOUNTS)
    choices = Choices()
    for account in accounts.values():
        choices.put(account)
    old_since_ms = orders[KEY].since_ms if KEY in orders else 0
    reader = ShadowReader(deployment.broker(), state_key)
    with saying_why(deployment.broker()):
        spans = await reader.spans(WATCHES, Window())
        total = sum(span.end - span.start for span in spans.values())
        both = TwoModels(old_since_ms, since_ms, titles, total, choices)
        async for record in reader.merged([(WATCHES, span) for span in spans.values()]):
            both.take(record.value)
            on_progress(both.comparison)
    return both.compare()


async def order_rebuild(deployment: Deployment, since_ms: int) -> ModelStart:
    """Acknowledged in the log: every worker rebuilds. Raises PlayheadError."""
    order = ModelStart(since_ms=since_ms, decided_at_ms=system_clock(), by=getpass.getuser())
    async with publishing(deployment) as publisher:
        await publisher.publish(RECOMMENDATION_MODELS, KEY, order)
    return order


async def wait_until_live(deployment: Deployment, order: ModelStart, timeout_s: float) -> bool:
    """Whether the workers answer with the rebuilt model in time."""
    version = version_of(Blend(), order)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while True:
                if all(await asyncio.gather(*_probes(deployment, version))):
                    return True
                await asyncio.sleep(LOOK_S)
    return False


def _probes(deployment: Deployment, version: str) -> list[Any]:
    async def is_live(number: int) -> bool:
        path = f"/v1/admin/profiles/rebuild-{number}/recommendations?count=1"
        try:
            answer = await call_gateway(deployment, "GET", path, "operator", {})
        except PlayheadError:
            return False  # a worker that starts again, which takes the order with it
        return bool(answer["model_version"] == version)

    return [is_live(number) for number in range(PROBES)]
