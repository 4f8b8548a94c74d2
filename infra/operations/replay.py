"""Where a replay may go, and which part of the log it reads. Pure but for `replay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agents.analytics.intakes import stored_topics
from agents.analytics.replay import ReplayProgress, Window, replay_topic
from agents.analytics.store import Store, parse_store_url
from infra.deployment import Deployment
from infra.operations.log_access import SINK_GROUP, saying_why
from infra.operations.moments import parse_moment
from infra.operations.operator import require_keys
from schemas.errors import PlayheadError

INTO_CLICKHOUSE: Final = frozenset({"analytics", SINK_GROUP})

REFUSED: Final = {
    "account": "an account's requests count once: their deadlines are past",
    "license": "it would issue licenses and move slots: its state is the fold of its own decisions",
    "catalog": "its requests count once: their deadlines are past",
    "bitrate": "it would publish ceilings for networks as they were then",
    "steering": "it would publish CDN orders for networks as they were then",
    "recommendation": "it would learn the same watches twice; its start reads them all anyway",
    "fold": "it skips what it has folded, so nothing would come of it",
}
"""Why no agent but the one of analytics takes a record a second time (P5)."""


class ReplayRefusedError(PlayheadError):
    """This would act twice; the message says why and what to do instead."""


def check_target(topic_name: str, group: str) -> None:
    """Raise ReplayRefusedError unless the topic may be read again into the group."""
    if group not in INTO_CLICKHOUSE:
        why = REFUSED.get(group, "it is no group of this deployment")
        raise ReplayRefusedError(
            f"nothing is replayed into {group}: {why}."
            f" Into ClickHouse: playhead replay {topic_name}"
        )
    if topic_name not in stored_topics():
        raise ReplayRefusedError(
            f"{topic_name} does not go to ClickHouse, and what it asks for was answered:"
            " there is nothing to replay"
        )


def window_of(start: str | None, end: str | None, now_ms: int) -> Window:
    """The window of `--from` and `--to`; digits alone are an offset of every partition.

    Raises click.BadParameter.
    """
    from_offset, from_ms = _border(start, now_ms)
    to_offset, to_ms = _border(end, now_ms)
    return Window(from_ms=from_ms, to_ms=to_ms, from_offset=from_offset, to_offset=to_offset)


def _border(text: str | None, now_ms: int) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    if text.isdigit() and len(text) <= 18:
        return int(text), None
    return None, parse_moment(text, now_ms)


async def replay(
    deployment: Deployment,
    topic_name: str,
    window: Window,
    *,
    dry_run: bool,
    on_progress: Callable[[ReplayProgress], None],
) -> ReplayProgress:
    """Read the window into ClickHouse: missing rows are added, none is doubled.

    May be stopped at any point and repeated: what is stored by then is skipped.
    """
    broker = deployment.broker()
    store = Store(parse_store_url(deployment.clickhouse_url()))
    state_key = require_keys(deployment).state_key()
    with saying_why(broker):
        await store.start()
        try:
            return await replay_topic(
                broker,
                store,
                topic_name,
                window,
                state_key=state_key,
                dry_run=dry_run,
                on_progress=on_progress,
            )
        finally:
            await store.stop()
