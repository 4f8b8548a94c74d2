"""The door: our policy says yes or no, and only after a yes the CDM's message goes upstream."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE
from gateway.drm.challenges import read_challenge
from gateway.drm.entitling import entitling_headers
from gateway.drm.posting import media_type_of
from gateway.drm.upstreams import AnyUpstream
from gateway.gateway import Gateway, gateway_of
from gateway.measuring import measure_request
from gateway.problems import ProblemError
from schemas.licenses import Entitlement
from schemas.sessions import DRMSystem, GetEntitlement
from streams.topics import LICENSE_REQUESTS

CERTIFICATE_TYPE: Final = "application/pkix-cert"
SOAP_ACTION: Final = '"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense"'
"""PlayReady's license acquisition is SOAP 1.1."""


async def post_upstream_license(request: web.Request) -> web.Response:
    """The upstream's answer to the CDM's message, where all of the asked keys are entitled."""
    gateway = gateway_of(request)
    claims = gateway.auth.session(request.match_info["session_token"])
    system = _system_of(request)
    upstream = _upstream(gateway, system)
    measure_request(gateway, request, claims)
    message = await gateway.intake.read(request, gateway.limits.body_bytes_max)
    if not message:
        raise ProblemError(400, "message", "the body must be the CDM's message")
    challenge = read_challenge(system, message)
    place = gateway.place(request)
    question = GetEntitlement(
        account_id=claims.account_id,
        session_id=claims.sid,
        system=system,
        key_ids=challenge.key_ids,
        is_checked_upstream=upstream.checks_keys or challenge.is_for_certificate,
        region=place.region,
        anonymizers=place.anonymizers,
    )
    entitlement: Entitlement = await gateway.ask(
        LICENSE_REQUESTS, claims.account_id, question, Entitlement
    )
    headers = {
        **entitling_headers(upstream, entitlement),
        "Content-Type": media_type_of(request.headers.get("Content-Type", "")),
        **({"SOAPAction": SOAP_ACTION} if system == "playready" else {}),
    }
    license_ = await gateway.upstreams.post(upstream.url, headers, message)
    return web.Response(
        body=license_.body, headers={**NO_STORE, "Content-Type": license_.media_type}
    )


async def get_fairplay_certificate(request: web.Request) -> web.Response:
    """FairPlay's application certificate, which Safari needs before it makes a message."""
    gateway = gateway_of(request)
    gateway.auth.session(request.match_info["session_token"])
    certificate = _upstream(gateway, "fairplay").certificate
    if certificate is None:
        raise ProblemError(501, "no-upstream", "no FairPlay certificate is configured")
    return web.Response(body=bytes(certificate), headers={"Content-Type": CERTIFICATE_TYPE})


def _upstream(gateway: Gateway, system: DRMSystem) -> AnyUpstream:
    upstream = gateway.config.drm_upstreams.get(system)
    if upstream is None:
        raise ProblemError(501, "no-upstream", "no server of this DRM system is connected")
    return upstream


def _system_of(request: web.Request) -> DRMSystem:
    """The router takes no other."""
    match request.match_info["system"]:
        case "widevine":
            return "widevine"
        case "playready":
            return "playready"
        case other:
            assert other == "fairplay"
            return "fairplay"
