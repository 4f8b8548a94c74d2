"""Looks for what was personal in an erased account, everywhere that a deployment keeps anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from infra.clickhouse.client import saying_why
from infra.deployment import Deployment
from infra.faults.secrecy import EVERYWHERE, Needle, found_in_files, found_in_tables
from infra.operations.erasing.personal import KEY, Personal, key_record, needles_of
from infra.secrecy.topics import found_in_topics
from streams.topics import ACCOUNT_KEYS, BY_NAME, TOPICS

_DAY_MS: Final = 86_400_000
BRIEF_MS: Final = 3_600_000
_ACCOUNT: Final = "the account's id"
_PROFILE: Final = "a profile's id"


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the account in one place."""

    what: str
    where: str


class Pseudonym(msgspec.Struct, frozen=True, kw_only=True):
    """A place that still names the account or a profile by its id."""

    where: str
    gone_within_days: float | None
    """By the topic's retention; None: it is kept for ever."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Where was looked, for how many forms of what was personal, and what was found."""

    forms: int
    looked_into: tuple[str, ...]
    traces: tuple[Trace, ...]
    expiring: tuple[Trace, ...]
    """In topics of requests, which keep nothing longer than an hour: run it again then."""
    pseudonyms: tuple[Pseudonym, ...]


async def prove(deployment: Deployment, personal: Personal, *, key_may_lie_in_files: bool) -> Proof:
    """Read every topic, table and file of the deployment once. Raises PlayheadError.

    `key_may_lie_in_files`: the broker has not dropped the destroyed key from its files yet, which
    the report says by itself.
    """
    needles = needles_of(personal)
    ids = [Needle(_ACCOUNT, personal.account_id.encode())]
    ids += [Needle(_PROFILE, each.encode()) for each in personal.profile_ids]
    every = (EVERYWHERE, *needles, *ids)
    topics = await found_in_topics(deployment.broker(), every)
    with saying_why():
        tables = await asyncio.to_thread(found_in_tables, deployment.reader_url(), every)
    files = await asyncio.to_thread(found_in_files, deployment.home, (EVERYWHERE, *needles))
    places = {
        **{f"topic {name}": found for name, found in topics.items()},
        **{f"table {name}": found for name, found in tables.items()},
        **{f"file {name}": found for name, found in files.items()},
    }
    found = traces_of(places, key_may_lie_in_files=key_may_lie_in_files)
    brief = [
        deployment.broker().physical(topic.name)
        for topic in TOPICS
        if topic.retention_ms is not None and topic.retention_ms <= BRIEF_MS
    ]
    return Proof(
        forms=len(needles),
        looked_into=(
            f"every record of {len(topics)} topics at {deployment.broker().bootstrap}",
            f"every row of {len(tables)} tables at {deployment.reader_address()}",
            f"{len(files)} files of {deployment.home}: segments, agents' tables, logs",
        ),
        traces=tuple(each for each in found if not expires(each, brief)),
        expiring=tuple(each for each in found if expires(each, brief)),
        pseudonyms=_pseudonyms(deployment, topics, tables),
    )


def traces_of(
    places: Mapping[str, Iterable[str]], *, key_may_lie_in_files: bool
) -> tuple[Trace, ...]:
    """What was found that must not be there; ids are pseudonyms and told apart."""
    return tuple(
        Trace(what=what, where=where)
        for where, found in sorted(places.items())
        for what in sorted(set(found) - {_ACCOUNT, _PROFILE, EVERYWHERE.name})
        if not (what == KEY and key_may_lie_in_files)
    )


def expires(trace: Trace, brief: Iterable[str]) -> bool:
    """Whether it lies in a topic that keeps nothing for long, or in a file of such a topic."""
    kind, _, place = trace.where.partition(" ")
    if kind == "topic":
        return place in set(brief)
    # The broker names the folder of a partition after its topic.
    return kind == "file" and any(f"/{name}-" in place for name in brief)


async def is_key_in_log(deployment: Deployment, personal: Personal) -> bool:
    """Whether the wrapped key can still be read from the broker, or from its files here."""
    needle = key_record(personal.account_id)
    topics = await found_in_topics(deployment.broker(), [needle], only=(ACCOUNT_KEYS.name,))
    if topics:
        return True
    return bool(await asyncio.to_thread(found_in_files, deployment.home, [needle]))


def _pseudonyms(
    deployment: Deployment, topics: Mapping[str, set[str]], tables: Mapping[str, set[str]]
) -> tuple[Pseudonym, ...]:
    broker = deployment.broker()
    found = []
    for physical, names in sorted(topics.items()):
        if not names & {_ACCOUNT, _PROFILE}:
            continue
        name = broker.logical(physical)
        topic = BY_NAME.get(name.removesuffix(".dead-letter"))
        if topic is not None and name != topic.name:
            topic = topic.dead_letters
        kept_ms = topic.retention_ms if topic is not None else None
        found.append(
            Pseudonym(
                where=f"topic {name}",
                gone_within_days=None if kept_ms is None else round(kept_ms / _DAY_MS, 2),
            )
        )
    found += [
        Pseudonym(where=f"table {name}", gone_within_days=400.0)
        for name, names in sorted(tables.items())
        if names & {_ACCOUNT, _PROFILE}
    ]
    return tuple(found)
