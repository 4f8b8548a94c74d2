"""The forms in which a secret may turn up by accident."""

from __future__ import annotations

import base64


def forms(secret: bytes) -> tuple[bytes, ...]:
    """Raw, hexadecimal (both cases), base64 and base64url, at every alignment of base64."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        # The characters that depend on the neighbors are cut off on both sides.
        text = base64.b64encode(b"\0" * shift + secret)
        inner = text[4 if shift else 0 :][: (len(secret) - 3) * 4 // 3]
        found += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return tuple(found)
