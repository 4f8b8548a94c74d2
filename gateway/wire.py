"""Events as clients write them: what the log holds, an id of their own, a session token per item.

Each type comes three times: the plain one refuses fields that it does not know, which is how a
batch without any is read in one pass; the strict one looks at the id as well, for which msgspec
asks Python's regular expressions; the lenient one reads the rest, whose unknown fields are kept.
All encode to the bytes of the log's own type once `session_token` is empty.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Union, get_args

import msgspec

from schemas import codec
from schemas.events import Event, PlaybackEvent

EVENT_TYPES: Final[tuple[type[Event], ...]] = get_args(PlaybackEvent)
ID_PATTERN: Final = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

ClientId = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, max_length=36)]
"""A UUID in text form, by which the client finds its event again."""


class WireEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What static typing sees of the types below, which are made from the log's own."""

    session_token: str = ""


def _wire_type(event_type: type[Event], *, is_strict: bool = True, id_type: Any = ClientId) -> Any:
    return msgspec.defstruct(
        event_type.__name__,
        [("id", id_type), ("session_token", str, "")],
        bases=(event_type,),
        frozen=True,
        kw_only=True,
        omit_defaults=True,
        tag_field="type",
        tag=event_type.__struct_config__.tag,
        forbid_unknown_fields=is_strict,
    )


PLAIN_TYPES: Final = tuple(_wire_type(each, id_type=str) for each in EVENT_TYPES)
STRICT_TYPES: Final = tuple(_wire_type(each) for each in EVENT_TYPES)
LENIENT_TYPES: Final = tuple(_wire_type(each, is_strict=False) for each in EVENT_TYPES)
# A union of a tuple has no other spelling.
PLAIN_ITEM: Final[Any] = Union[PLAIN_TYPES]  # noqa: UP007 - see above
STRICT_ITEM: Final[Any] = Union[STRICT_TYPES]  # noqa: UP007 - see above
LENIENT_ITEM: Final[Any] = Union[LENIENT_TYPES]  # noqa: UP007 - see above
FIELDS: Final[dict[str, frozenset[str]]] = {
    str(each.__struct_config__.tag): frozenset({"type", *each.__struct_encode_fields__})
    for each in LENIENT_TYPES
}
"""Known field names by wire tag."""

plain_item: Final[codec.Decoder[WireEvent]] = codec.Decoder(PLAIN_ITEM)
plain_items: Final[codec.Decoder[list[WireEvent]]] = codec.Decoder(list[PLAIN_ITEM])
strict_item: Final[codec.Decoder[WireEvent]] = codec.Decoder(STRICT_ITEM)
lenient_item: Final[codec.Decoder[WireEvent]] = codec.Decoder(LENIENT_ITEM)
raw_items: Final[codec.Decoder[list[msgspec.Raw]]] = codec.Decoder(list[msgspec.Raw])
any_object: Final[codec.Decoder[dict[str, Any]]] = codec.Decoder(dict[str, Any])
