"""Content keys for packagers outside: SPEKE v2.0, which is CPIX 2.3 over HTTP.

Nothing is read in clear here: the license agent encrypts the keys for the packager's certificate.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE
from gateway.cpix.answer import write_answer
from gateway.cpix.request import read_request
from gateway.gateway import gateway_of
from gateway.problems import ProblemError
from schemas.licenses import ContentKeys
from schemas.packaging import EncryptedContentKeys, RequestPackagerKeys
from streams.topics import KEY_REQUESTS

XML: Final = "application/xml"
VERSION_HEADER: Final = "X-Speke-Version"
VERSION: Final = "2.0"
USER_AGENT: Final = "Playhead"


async def post_keys(request: web.Request) -> web.Response:
    """The packager's CPIX document with the keys of its contract filled in."""
    gateway = gateway_of(request)
    claims = gateway.auth.admin(request, "packager", "operator")
    require_speke(request)
    asked = read_request(await gateway.intake.read(request, gateway.limits.body_bytes_max))
    if not claims.covers(asked.content_id):
        raise ProblemError(403, "content", f"the token is not for {asked.content_id}")
    question = RequestPackagerKeys(
        content_id=asked.content_id,
        keys=asked.keys,
        certificates=asked.certificates,
        sender=claims.sub,
    )
    keys: EncryptedContentKeys | ContentKeys = await gateway.ask(
        KEY_REQUESTS, asked.content_id, question, EncryptedContentKeys | ContentKeys
    )
    headers = {
        **NO_STORE,
        "Content-Type": XML,
        VERSION_HEADER: VERSION,
        "X-Speke-User-Agent": USER_AGENT,
    }
    return web.Response(body=write_answer(asked, keys), headers=headers)


def require_speke(request: web.Request) -> None:
    """ProblemError: 415 for a body that is no XML, 422 for another version of SPEKE."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != XML:
        raise ProblemError(415, "media-type", f"the body must be {XML}")
    if request.headers.get(VERSION_HEADER) != VERSION:
        raise ProblemError(422, "speke-version", f"{VERSION_HEADER} must be {VERSION}")
