"""What packagers outside use."""

from __future__ import annotations

from typing import Final

from gateway import speke
from gateway.routing.route import Body, Route

PACKAGING_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="postSpekeKeys",
        method="POST",
        path="/v1/keys/speke",
        handler=speke.post_keys,
        says="Content keys for a packager, encrypted for its certificate: SPEKE v2.0",
        traffic="account",
        access="admin",
        roles=("packager", "operator"),
        body=Body(
            content={speke.XML: None},
            says="A CPIX 2.3 document; the header X-Speke-Version must be 2.0.",
        ),
        answers={200: speke.XML},
        problems=(409, 422),
    ),
)
