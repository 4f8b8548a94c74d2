"""Content encodings, both ways. What is unpacked is complete: checksums hold and every stream
reached its end.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import lz4.frame

from infra.clickhouse.errors import EngineError, corrupt_body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES_MAX: Final = 1 << 20
"""The most that one step unpacks: a small body can hold a very large one."""


class _Decoder(Protocol):
    """What the decompressors of bz2, lzma, zstd and lz4 have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _ZlibDecoder:
    """zlib's decompressor under the interface of the others."""

    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)
        self._may_hold_more = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._may_hold_more

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        output = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # It may have taken all input and still hold output back, which it tells nobody.
        self._may_hold_more = len(output) == max_length
        return output


_DECODERS: Final[dict[str, Callable[[], _Decoder]]] = {
    "gzip": lambda: _ZlibDecoder(31),
    "x-gzip": lambda: _ZlibDecoder(31),
    "deflate": lambda: _ZlibDecoder(15),
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


class Inflater:
    """Unpacks a body that comes in pieces and may consist of several members or frames.

    `feed` yields pieces of at most PIECE_BYTES_MAX; `finish` must be called at the end of the body,
    and raises where the last member is not complete. Both raise EngineError 354
    (CANNOT_DECOMPRESS).
    """

    def __init__(self, encoding: str) -> None:
        self._make = _DECODERS[encoding]
        self._encoding = encoding
        self._decoder: _Decoder | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The next part of the body, unpacked."""
        try:
            yield from self._unpacked(data)
        except (
            zlib.error,
            OSError,
            EOFError,
            RuntimeError,
            lzma.LZMAError,
            zstd.ZstdError,
        ) as error:
            raise corrupt_body(f"Cannot decompress the {self._encoding} body: {error}") from error

    def finish(self) -> None:
        """The body has ended."""
        if self._decoder is not None and not self._decoder.eof:
            raise corrupt_body(f"The {self._encoding} body ends before its stream does")

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._make()
            decoder = self._decoder
            piece = decoder.decompress(data, PIECE_BYTES_MAX)
            if piece:
                yield piece
            while not decoder.eof and not decoder.needs_input:
                yield decoder.decompress(b"", PIECE_BYTES_MAX)
            data = (decoder.unused_data or b"") if decoder.eof else b""


class Deflater(Protocol):
    """Packs a result piece by piece; `flush` ends the stream."""

    def compress(self, data: bytes) -> bytes:
        """What is ready of the packed stream, perhaps nothing."""

    def flush(self) -> bytes:
        """The rest of the packed stream."""


class _LZ4Deflater:
    """lz4 frames want their header written by a call of its own."""

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        return self.compress(b"") + bytes(self._frame.flush())


_DEFLATERS: Final[dict[str, Callable[[], Deflater]]] = {
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "lz4": _LZ4Deflater,
    "gzip": lambda: zlib.compressobj(1, wbits=31),
    "deflate": lambda: zlib.compressobj(1),
}


def body_inflater(content_encoding: str) -> Inflater | None:
    """The Inflater of a request's Content-Encoding; None where the body is plain. Raises
    EngineError 55 on an unknown one.
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in _DECODERS:
        raise EngineError(
            55, f"Unknown compression method: {encoding}", "UNKNOWN_COMPRESSION_METHOD"
        )
    return Inflater(encoding)


def result_encoding(accept_encoding: str) -> str | None:
    """The encoding for a result, the fastest that the client takes; None where it takes none of
    ours.
    """
    accepted = dict(_accepted(accept_encoding))
    return next((name for name in _DEFLATERS if accepted.get(name, False)), None)


def _accepted(header: str) -> Iterator[tuple[str, bool]]:
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        yield name.strip(), weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")


def deflater(encoding: str) -> Deflater:
    """A new Deflater for a name that `result_encoding` returned."""
    return _DEFLATERS[encoding]()
