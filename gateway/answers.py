"""JSON in and out of handlers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.problems import ProblemError
from schemas import codec
from schemas.errors import InvalidMessageError

JSON: Final = "application/json"
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}
DETAIL_CHARS_MAX: Final = 300


def answer(
    body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The message as JSON."""
    return web.Response(
        status=status, body=codec.encode(body), headers={"Content-Type": JSON, **(headers or {})}
    )


def nothing() -> web.Response:
    """204: it is done."""
    return web.Response(status=204)


def read_as(body: bytes, type_: Any) -> Any:
    """The body as this type; ProblemError 400 that says what is wrong with it."""
    try:
        return _decoder(type_).decode(body)
    except InvalidMessageError as error:
        raise ProblemError(400, error.reason, error.detail[:DETAIL_CHARS_MAX]) from error


def require_json(request: web.Request) -> None:
    """ProblemError 415 for a body of another media type: forms of foreign pages cannot say JSON."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise ProblemError(415, "media-type", f"the body must be {JSON}")


@lru_cache(maxsize=64)
def _decoder(type_: Any) -> codec.Decoder[Any]:
    return codec.Decoder(type_)
