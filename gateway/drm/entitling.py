"""What is said to each kind of upstream beside the CDM's message: request headers; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from gateway.drm import axinom, drmtoday
from gateway.drm.upstreams import AnyUpstream, Axinom, DRMtoday, ReverseProxy
from schemas.licenses import Entitlement


def entitling_headers(upstream: AnyUpstream, entitlement: Entitlement) -> Mapping[str, str]:
    """The signed entitlement in the upstream's own form; for a plain proxy only what is its own."""
    match upstream:
        case Axinom():
            return {axinom.HEADER: axinom.license_service_token(upstream, entitlement)}
        case DRMtoday():
            return {drmtoday.HEADER: drmtoday.upfront_token(upstream, entitlement)}
        case ReverseProxy():
            return upstream.added_headers()
        case _:
            assert_never(upstream)
