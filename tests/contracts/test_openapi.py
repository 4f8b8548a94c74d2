"""The document and the gateway say the same: every route, every answer, whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.config import Limits
from gateway.openapi import openapi_document
from gateway.routes import ROUTES
from gateway.routing.route import Route
from schemas import codec
from tests.contracts.gateway_thread import ServedGateway, served_gateway
from tests.gateway_fakes import NOW_MS
from tests.unit.cpix.packager import a_request
from tests.unit.gateway.answering import PROFILE_ID
from tests.unit.gateway.epas_reports import a_report
from tests.unit.gateway.wire_events import an_event

KEY_ID = "000102030405060708090a0b0c0d0e0f"
TIMEOUT_S = 20
OPERATIONS = [route.name for route in ROUTES if route.traffic != "stream"]
# Their bodies are no JSON; any bytes to them are tried in the unit tests.
NOT_MADE_UP = {"postEdgeLogs", "postCmcd", "postSpekeKeys"}
BY_NAME = {route.name: route for route in ROUTES}

PARAMETERS = {
    "{profile_id}": PROFILE_ID,
    "{device_id}": "tv",
    "{content_id}": "tears",
    "{account_id}": "01930000-0000-7000-8000-00000000000b",
    "{rendition}": "v480",
    "{kid}": KEY_ID,
    "{source}": "player-1",
    "{report}": "lag",
    "{system:widevine|playready|fairplay}": "widevine",
}
JSON_BODIES: dict[str, Any] = {
    "createAccount": {"email": "a@b.example", "password": "long enough"},
    "issueTokens": {"grant_type": "password", "username": "a@b.example", "password": "x"},
    "resetPassword": {"email": "a@b.example"},
    "createProfile": {"name": "Ada"},
    "changeProfile": {"name": "Ada"},
    "putPin": {"pin": "4711", "password": "long enough"},
    "unlockProfile": {"pin": "4711"},
    "changeDevice": {"name": "Living room"},
    "putSubscription": {"plan": "premium", "state": "active"},
    "putFeedback": {"thumb": "up", "is_favorite": True},
    "openSession": {
        "content_id": "tears",
        "profile_id": PROFILE_ID,
        "device": {"device_id": "tv"},
    },
    "putTitle": {"content_id": "tears", "title": "Tears", "duration_ms": 1},
    "postLicense": {"kids": ["AAECAwQFBgcICQoLDA0ODw"], "type": "temporary"},
    "postDeviceLicense": {"kids": ["AAECAwQFBgcICQoLDA0ODw"], "nonce": "0123456789abcdef"},
}
EXPECTED = {
    "postUpstreamLicense": 501,
    "getFairPlayCertificate": 501,
    "takeBillingEvent": 503,  # no secret is named; good events are posted in the unit tests
}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedGateway]:
    with served_gateway() as gateway:
        yield gateway


def test_the_document_is_valid_openapi(served: ServedGateway) -> None:
    OpenAPIV31SpecValidator(served.document).validate()


def test_the_document_comes_from_the_types_alone(served: ServedGateway) -> None:
    assert codec.Decoder(Any).decode(openapi_document(ROUTES, Limits())) == served.document
    assert requests.get(f"{served.url}/openapi.json", timeout=TIMEOUT_S).json() == served.document


def test_names_of_operations_are_unique() -> None:
    assert len(BY_NAME) == len(ROUTES)


def _call(
    served: ServedGateway, route: Route, *, token: str | None, session_token: str, sid: str
) -> requests.Response:
    path = route.path.replace("{session_token}", session_token).replace("{session_id}", sid)
    for name, value in PARAMETERS.items():
        path = path.replace(name, value)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    sent: dict[str, Any] = {}
    if route.name in JSON_BODIES:
        sent["json"] = JSON_BODIES[route.name]
    elif route.name in {"postEvents", "postSessionEvents"}:
        sent["json"] = [an_event(sid), an_event(sid)]
    elif route.name in {"postEpas", "postSessionEpas"}:
        sent["json"] = a_report()
    elif route.name == "takeBillingEvent":
        sent["json"] = {"type": "subscription.activated"}
    elif route.name == "postCmcd":
        sent["data"] = f"e=t,ts={NOW_MS},sn=1"
    elif route.name == "postSpekeKeys":
        sent["data"] = a_request()
        headers |= {"Content-Type": "application/xml", "X-Speke-Version": "2.0"}
    return requests.request(
        route.method, served.url + path, headers=headers, timeout=TIMEOUT_S, **sent
    )


def _good_token(served: ServedGateway, route: Route, session_token: str) -> str | None:
    match route.access:
        case "viewer":
            return served.world.access_token()
        case "admin":
            return served.world.admin_token(route.roles[0])  # type: ignore[arg-type]  # roles, by their text
        case "session or ingest" | "viewer or session":
            return session_token
        case _:
            return None


def _require_documented(served: ServedGateway, route: Route, answer: requests.Response) -> None:
    path = route.path.partition(":widevine")[0] + ("}" if ":widevine" in route.path else "")
    operation = served.document["paths"][path][route.method.lower()]
    documented = operation["responses"].get(str(answer.status_code))
    assert documented is not None, f"{route.name}: {answer.status_code} is not documented"
    content = documented.get("content", {})
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    if not content:
        assert answer.content == b""
        return
    assert media_type in content
    if schema := content[media_type].get("schema"):
        root = {"components": served.document["components"], **schema}
        jsonschema.Draft202012Validator(root).validate(answer.json())


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_good_request_gets_a_documented_answer(served: ServedGateway, name: str) -> None:
    route = BY_NAME[name]
    claims = served.world.session_claims(content_id="tears")
    session_token = served.world.session_token(claims)
    token = _good_token(served, route, session_token)
    answer = _call(served, route, token=token, session_token=session_token, sid=claims.sid)
    assert answer.status_code == EXPECTED.get(name, answer.status_code)
    assert answer.ok or name in EXPECTED, answer.text
    _require_documented(served, route, answer)


@pytest.mark.parametrize("name", [route.name for route in ROUTES if route.access != "nobody"])
def test_without_a_token_every_closed_route_is_401(served: ServedGateway, name: str) -> None:
    route = BY_NAME[name]
    answer = _call(served, route, token=None, session_token="forged", sid="x" * 36)
    assert answer.status_code == 401
    _require_documented(served, route, answer)
    stranger = _call(served, route, token="forged", session_token="forged", sid="x" * 36)
    assert stranger.json()["reason"] == "token"


@pytest.mark.parametrize("name", [route.name for route in ROUTES if route.roles])
def test_the_wrong_role_is_403(served: ServedGateway, name: str) -> None:
    route = BY_NAME[name]
    token = served.world.admin_token("ingest")
    answer = _call(served, route, token=token, session_token="", sid="")
    assert answer.status_code == 403
    _require_documented(served, route, answer)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in NOT_MADE_UP])
def test_whatever_is_sent_the_answer_is_documented(served: ServedGateway, name: str) -> None:
    """Schemathesis makes requests by the document, right and wrong; none may break anything."""
    route = BY_NAME[name]
    schema = schemathesis.openapi.from_dict(served.document)
    operations = [each.ok() for each in schema.get_all_operations()]
    (operation,) = (each for each in operations if each.definition.raw["operationId"] == route.name)
    claims = served.world.session_claims(content_id="tears")
    session_token = served.world.session_token(claims)
    token = _good_token(served, route, session_token)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def check(case: Any) -> None:
        if case.path_parameters and "session_token" in case.path_parameters:
            case.path_parameters["session_token"] = session_token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = case.call(base_url=served.url, headers=headers, timeout=TIMEOUT_S)
        assert answer.status_code != 500
        if answer.status_code not in {404, 405}:  # a made-up parameter may name another path
            _require_documented(served, route, _as_requests(answer))

    check()


def _as_requests(answer: Any) -> requests.Response:
    """Schemathesis' answer as the client library's own."""
    made = requests.Response()
    made.status_code = answer.status_code
    made._content = answer.content
    made.headers.update({name: values[0] for name, values in answer.headers.items()})
    return made
