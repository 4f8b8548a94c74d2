"""The one place where bytes become messages and messages bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from schemas.errors import InvalidMessageError, UnknownTypeError

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def encode(message: Any) -> bytes:
    """JSON bytes of a message; field order is the type's, so equal messages are equal bytes."""
    return _encoder.encode(message)


def encode_lines(messages: Sequence[Any]) -> list[bytes]:
    """The JSON bytes of each message; JSON holds no line break of its own."""
    return _encoder.encode_lines(messages).split(b"\n")[:-1]


class Decoder(Generic[T]):
    """Reads one type. Build it once, where the type is known."""

    def __init__(self, type_: Any, *, strict: bool = True) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_, strict=strict)

    def decode(self, data: bytes | memoryview | msgspec.Raw) -> T:
        """The message; InvalidMessageError with a stable reason where it is none."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise _translated(error) from error

    def decode_each(self, data: Iterable[bytes]) -> list[T]:
        """The messages, all or none."""
        try:
            return list(map(self._decoder.decode, data))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise _translated(error) from error

    def decode_lines(self, data: bytes) -> list[T]:
        """The messages of an NDJSON body, all or none."""
        try:
            return self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise _translated(error) from error


def _translated(error: Exception) -> InvalidMessageError:
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        if text.startswith("Invalid value") and text.endswith("`$.type`"):
            return UnknownTypeError("unknown-type", text)
        return InvalidMessageError("schema", text)
    if isinstance(error, RecursionError):
        return InvalidMessageError("too-deep", "nested deeper than the parser goes")
    return InvalidMessageError("not-json", text)
