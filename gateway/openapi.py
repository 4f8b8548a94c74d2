"""The OpenAPI document, made of the route table and of the types that the code decodes with."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from gateway.config import Limits
from gateway.problems import CONTENT_TYPE, Problem
from gateway.routing.route import Access, Body, Route
from schemas import codec

REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::([^}]+))?\}")
_PHRASES: Final = {
    200: "Done",
    201: "Created",
    202: "All are durable",
    204: "Done, nothing to tell",
    207: "Some are durable",
    400: "What was sent cannot be read",
    401: "A valid token is needed",
    402: "No subscription",
    403: "Not allowed, with a reason",
    404: "Unknown, or another's",
    408: "The body came too slowly",
    409: "It is there already, or full",
    413: "Too large",
    415: "Media type or encoding",
    422: "It contradicts itself",
    429: "Too many attempts",
    501: "Not connected",
    502: "The license service cannot be used",
    503: "Not stored, or unknown: send it again with the same identity",
}
_SECURITY: Final[dict[Access, list[dict[str, list[str]]]]] = {
    "nobody": [],
    "viewer": [{"accessToken": []}],
    "session": [],
    "session or ingest": [{"sessionToken": []}, {"adminToken": []}],
    "viewer or session": [{"accessToken": []}, {"sessionToken": []}],
    "admin": [{"adminToken": []}],
}


def openapi_document(routes: tuple[Route, ...], limits: Limits) -> bytes:
    """OpenAPI 3.1 as JSON."""
    types = [Problem, *_types_of(routes)]
    _, components = msgspec.json.schema_components(types, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, limits)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Playhead",
            "version": "1",
            "summary": "The back end behind the Play button",
            "description": "A 2xx of an events route means that Kafka acknowledged every event.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "accessToken": _bearer("of POST /v1/tokens, or of a configured OIDC issuer"),
                "sessionToken": _bearer("session_token of POST /v1/sessions"),
                "adminToken": _bearer("of `playhead admin token create`"),
            },
        },
        "x-limits": msgspec.to_builtins(limits),
    }
    return codec.encode(document)


def _bearer(says: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": says}


def _types_of(routes: tuple[Route, ...]) -> list[Any]:
    found: list[Any] = []
    for route in routes:
        found += [type_ for type_ in route.answers.values() if _is_type(type_)]
        if route.body is not None:
            found += [type_ for type_ in route.body.content.values() if _is_type(type_)]
    return found


def _is_type(type_: Any) -> bool:
    return type_ is not None and not isinstance(type_, str)


def _schema(type_: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([type_], ref_template=REF)
    return schema


def _operation(route: Route, limits: Limits) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.says,
        "tags": [route.traffic],
        "security": _SECURITY[route.access],
        "parameters": _parameters(route),
        "responses": {
            **{str(status): _answer(status, type_) for status, type_ in route.answers.items()},
            **{str(status): _problem(status) for status in problems_of(route)},
        },
    }
    if route.roles:
        operation["x-roles"] = list(route.roles)
    if route.body is not None:
        operation["requestBody"] = _body(route.body, limits)
    return operation


def problems_of(route: Route) -> list[int]:
    """Every error status that the route may answer with."""
    found = set(route.problems) | {400, 503}
    if route.access != "nobody":
        found |= {401, 403}
    if route.body is not None:
        found |= {408, 413, 415}
    return sorted(found - set(route.answers))


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"enum": choice.split("|")} if choice else {})},
        }
        for name, choice in _PARAMETER.findall(route.path)
    ]
    others = [
        {
            "name": name,
            "in": place,
            "required": query.required,
            "description": query.says,
            "schema": {"type": query.type_},
        }
        for place, given in (("query", route.query), ("header", route.headers))
        for name, query in given.items()
    ]
    return in_path + others


def _body(body: Body, limits: Limits) -> dict[str, Any]:
    bytes_max = getattr(limits, body.bytes_max)
    limit = f"At most {bytes_max} bytes; Content-Encoding gzip or zstd may be used."
    return {
        "required": True,
        "description": f"{limit} {body.says}".strip(),
        "content": {
            media_type: {"schema": _schema(type_)} if _is_type(type_) else {}
            for media_type, type_ in body.content.items()
        },
    }


def _answer(status: int, type_: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _PHRASES[status]}
    if isinstance(type_, str):
        described["content"] = {type_: {}}
    elif type_ is not None:
        described["content"] = {"application/json": {"schema": _schema(type_)}}
    return described


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _PHRASES[status],
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}},
    }
    if status in {429, 503}:
        described["headers"] = {
            "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
        }
    return described
