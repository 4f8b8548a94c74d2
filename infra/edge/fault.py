"""How the demo breaks an edge on purpose."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`status` answers every object with it; `drop` cuts the connection; neither: mended."""

    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    drop: bool = False


class FaultSwitch:
    """What is broken now."""

    def __init__(self) -> None:
        self.now = Fault()
