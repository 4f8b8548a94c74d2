"""multipart/form-data, as far as ClickHouse clients use it: fields and files, all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

import msgspec

from infra.clickhouse.errors import bad_request

_PART_COUNT_MAX: Final = 1000


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A field or a file of a form."""

    name: str
    is_file: bool
    data: bytes


def parse(content_type: str, body: bytes) -> list[Part]:
    """The parts in order. Raises EngineError 36 for a body that is no such form."""
    boundary = _boundary(content_type)
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, _PART_COUNT_MAX + 1)
    if len(pieces) > _PART_COUNT_MAX + 1:
        raise bad_request(f"The form has more than {_PART_COUNT_MAX} parts")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise bad_request("The form breaks off before its last boundary")
    return list(_parts(pieces[1:-1]))


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise bad_request("The form names no boundary")
    return boundary.encode("utf-8", "surrogateescape")


def _parts(pieces: list[bytes]) -> Iterator[Part]:
    for piece in pieces:
        head, separator, data = piece.partition(b"\r\n\r\n")
        if not separator:
            raise bad_request("A part of the form has no end of headers")
        headers = BytesHeaderParser().parsebytes(head.lstrip() + b"\r\n\r\n")
        name = headers.get_param("name", header="Content-Disposition")
        if not isinstance(name, str) or not name:
            raise bad_request("A part of the form has no name")
        yield Part(name=name, is_file=headers.get_filename() is not None, data=data)
