"""Events as clients may write them: what the log holds, and a session token per item.

Each type comes twice: the strict one refuses fields that it does not know, which is how a batch
without any is read in one pass; the lenient one reads the rest, whose unknown fields are kept.
Both encode to the bytes of the log's own type once `session_token` is empty.
"""

from __future__ import annotations

from typing import Any, Final, Union, get_args

import msgspec

from schemas import codec
from schemas.events import Event, PlaybackEvent

EVENT_TYPES: Final[tuple[type[Event], ...]] = get_args(PlaybackEvent)


class WireEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What every item of a POST has; the base that the types below really derive from is theirs."""

    session_token: str = ""


def _wire_type(event_type: type[Event], *, is_strict: bool) -> Any:
    return msgspec.defstruct(
        event_type.__name__,
        [("session_token", str, "")],
        bases=(event_type,),
        frozen=True,
        kw_only=True,
        omit_defaults=True,
        tag_field="type",
        tag=event_type.__struct_config__.tag,
        forbid_unknown_fields=is_strict,
    )


STRICT_TYPES: Final = tuple(_wire_type(each, is_strict=True) for each in EVENT_TYPES)
LENIENT_TYPES: Final = tuple(_wire_type(each, is_strict=False) for each in EVENT_TYPES)
FIELDS: Final[dict[str, frozenset[str]]] = {
    str(each.__struct_config__.tag): frozenset({"type", *each.__struct_encode_fields__})
    for each in LENIENT_TYPES
}
"""Known field names by wire tag."""

strict_item: Final[codec.Decoder[WireEvent]] = codec.Decoder(Union[STRICT_TYPES])  # noqa: UP007 - a union of a tuple has no other spelling
strict_items: Final[codec.Decoder[list[WireEvent]]] = codec.Decoder(list[Union[STRICT_TYPES]])  # type: ignore[valid-type]  # noqa: UP007 - the same
lenient_item: Final[codec.Decoder[WireEvent]] = codec.Decoder(Union[LENIENT_TYPES])  # noqa: UP007 - the same
raw_items: Final[codec.Decoder[list[msgspec.Raw]]] = codec.Decoder(list[msgspec.Raw])
any_object: Final[codec.Decoder[dict[str, Any]]] = codec.Decoder(dict[str, Any])
