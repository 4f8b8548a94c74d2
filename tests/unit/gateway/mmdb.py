"""A MaxMind-format database of one IPv4 network, written byte by byte (format 2.0)."""

from __future__ import annotations

import ipaddress
from typing import Any

_NODE_BITS = 24
_SEPARATOR = bytes(16)
_UINT16, _UINT32, _UINT64, _ARRAY = 5, 6, 9, 11
_METADATA = b"\xab\xcd\xefMaxMind.com"


def one_network_database(network: str, found: dict[str, Any]) -> bytes:
    """Whoever looks an address of the network up finds this."""
    block = ipaddress.IPv4Network(network)
    count = block.prefixlen
    tree = bytearray()
    for depth in range(count):
        bit = int(block.network_address) >> (31 - depth) & 1
        following = depth + 1 if depth + 1 < count else count + len(_SEPARATOR)
        records = [count, count]
        records[bit] = following
        for record in records:
            tree += record.to_bytes(_NODE_BITS // 8, "big")
    metadata = {
        "node_count": count,
        "record_size": (_UINT16, _NODE_BITS),
        "ip_version": (_UINT16, 4),
        "database_type": "Test",
        "languages": [],
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1),
        "description": {},
    }
    return bytes(tree) + _SEPARATOR + _encode(found) + _METADATA + _encode(metadata)


def _encode(value: Any) -> bytes:
    match value:
        case dict():
            pairs = b"".join(_encode(key) + _encode(each) for key, each in value.items())
            return bytes([7 << 5 | len(value)]) + pairs
        case str():
            return bytes([2 << 5 | len(value)]) + value.encode()
        case int():
            return _encode((_UINT32, value))
        case (int(type_), int(number)):
            data = number.to_bytes(4 if type_ == _UINT32 else 2, "big").lstrip(b"\0")
            return _control(type_, len(data)) + data
        case list():
            return _control(_ARRAY, len(value)) + b"".join(map(_encode, value))
        case _:
            raise TypeError(type(value))


def _control(type_: int, size: int) -> bytes:
    """Types above seven stand in a second byte."""
    return bytes([type_ << 5 | size]) if type_ <= 7 else bytes([size, type_ - 7])
