"""What operators did, kept with what was decided."""

from __future__ import annotations

from typing import Literal

import msgspec


class HandledLetter(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="handled_letter"
):
    """A dead letter that was driven back or given up: `dead.letters.handled.v1`.

    The letter itself stays in its topic until it is too old: Kafka removes nothing out of order.
    """

    letter_topic: str
    letter_offset: int
    """A dead-letter topic has one partition."""
    source_topic: str
    source_partition: int
    source_offset: int
    outcome: Literal["redriven", "dropped"]
    reason: str
    """The letter's own."""
    by: str
    """Who ran the command, as the system names them."""
    at_ms: int
