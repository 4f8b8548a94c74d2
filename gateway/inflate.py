"""Undoing Content-Encoding with limits of our own.

aiohttp takes a truncated gzip body for a whole one and lets unknown encodings through undecoded:
silent loss of acknowledged events. So it decodes nothing here, and what does not end properly, or
does not check, is refused.
"""

from __future__ import annotations

import sys
import zlib
from typing import Any, Final

from gateway.problems import ProblemError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS: Final = ("gzip", "zstd")
_GZIP_WBITS: Final = 31
_ZSTD_WINDOW_LOG_MAX: Final = 23
"""8 MiB, which RFC 8878 asks decoders to support; more would be memory on a stranger's word."""


def require_known_encoding(content_encoding: str) -> str:
    """`""`, `gzip` or `zstd`; ProblemError 415 for anything else, such as two of them."""
    encoding = content_encoding.strip().lower()
    if encoding in {"", "identity"}:
        return ""
    if encoding == "x-gzip":
        return "gzip"
    if encoding not in ENCODINGS:
        raise ProblemError(
            415, "encoding", f"{' or '.join(ENCODINGS)}, once", headers={"Accept-Encoding": "gzip"}
        )
    return encoding


def inflate(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The body itself.

    Raises ProblemError: 400 where it is cut short, fails its check or has bytes after its end,
    413 where it would be larger than `bytes_max`.
    """
    if not encoding:
        return body
    decompressor = _decompressor(encoding)
    try:
        inflated: bytes = decompressor.decompress(body, bytes_max + 1)
    except (zlib.error, zstd.ZstdError) as error:
        raise ProblemError(400, "encoding", f"the body is no {encoding}") from error
    if len(inflated) > bytes_max:
        raise ProblemError(413, "too-large", f"more than {bytes_max} bytes inflated")
    if not decompressor.eof:
        raise ProblemError(400, "truncated", f"the {encoding} body is cut short")
    if decompressor.unused_data:
        raise ProblemError(400, "encoding", f"bytes follow the end of the {encoding} body")
    return inflated


def _decompressor(encoding: str) -> Any:
    if encoding == "gzip":
        return zlib.decompressobj(_GZIP_WBITS)
    parameter = zstd.DecompressionParameter.window_log_max
    return zstd.ZstdDecompressor(options={parameter: _ZSTD_WINDOW_LOG_MAX})
