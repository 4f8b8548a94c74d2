"""Which topics are backed up, and why the others are not."""

from __future__ import annotations

from typing import Final

from streams.topic import Topic
from streams.topics import (
    ACCOUNT_EVENTS,
    ACCOUNT_KEYS,
    ACCOUNTS,
    BITRATE_DECISIONS,
    BITRATE_POPULATION,
    CATALOG_TITLES,
    CDN_SETTINGS,
    CONTENT_KEYS,
    DEAD_LETTERS_HANDLED,
    EXPERIMENTS,
    GATEWAY_LEDGER,
    KEY_DELIVERIES,
    KEY_ENCRYPTION_KEYS,
    LICENSE_DECISIONS,
    RECOMMENDATION_MODELS,
    RECOMMENDATION_UPDATES,
    REVOCATIONS,
    SESSION_FOLDS,
    SESSIONS,
    SIGNING_KEYS,
    STEERING_DECISIONS,
    TITLE_FEEDBACK,
    WATCHES,
)

KEPT: Final[tuple[Topic, ...]] = (
    ACCOUNTS,
    ACCOUNT_KEYS,
    ACCOUNT_EVENTS,
    CATALOG_TITLES,
    EXPERIMENTS,
    CDN_SETTINGS,
    KEY_ENCRYPTION_KEYS,
    CONTENT_KEYS,
    KEY_DELIVERIES,
    LICENSE_DECISIONS,
    REVOCATIONS,
    SESSIONS,
    TITLE_FEEDBACK,
    RECOMMENDATION_MODELS,
    WATCHES,
)
"""Records of truth: Kafka alone holds them, or holds them longer than anybody else."""

LEFT_OUT: Final[dict[Topic, str]] = {
    SIGNING_KEYS: "every start enrolls the identities of the key folder anew",
    SESSION_FOLDS: "names offsets of events that are not backed up; open sessions fold anew",
    RECOMMENDATION_UPDATES: "is computed again from watches and feedback",
    BITRATE_DECISIONS: "counts for sessions that play now",
    BITRATE_POPULATION: "is learned again within hours",
    STEERING_DECISIONS: "counts for networks as they are now",
    GATEWAY_LEDGER: "counts events that are not backed up",
    DEAD_LETTERS_HANDLED: "names offsets of letters that are not backed up",
}
"""Of the topics that are compacted or kept for a month; the others are younger than any backup."""
