"""Room, urgency, the door and turns: pure rules, and that none of them lends from another."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import CLIENT_SHARE, SHARES, URGENCIES, Room, Urgency
from gateway.door import Door
from gateway.frames import frame_of
from gateway.pacing import TOO_MANY
from gateway.problems import ProblemError
from gateway.routes import ROUTES
from gateway.turns import Turns
from gateway.urgency import LIVE_BODY_BYTES_MAX, urgency_of

ROOM_BYTES = 1 << 20
BODY_BYTES_MAX = 1 << 20

urgencies = st.sampled_from(URGENCIES)
takes = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), urgencies, st.integers(0, ROOM_BYTES // 3)), max_size=60
)


def _refused(room: Room, client: str, urgency: Urgency, count: int) -> ProblemError | None:
    """Takes it, unless it is refused."""
    try:
        room.take(client, urgency, count)
    except ProblemError as error:
        return error
    return None


@given(takes)
def test_no_class_takes_what_is_reserved_above_it_and_no_client_all(
    wanted: list[tuple[str, Urgency, int]],
) -> None:
    room = Room(ROOM_BYTES)
    taken: list[tuple[str, int]] = []
    for client, urgency, count in wanted:
        before = room.held_bytes
        refused = _refused(room, client, urgency, count)
        if refused is not None:
            assert (refused.problem.status, refused.problem.outcome) == (503, "not_stored")
            assert 1 <= int(refused.headers["Retry-After"]) <= 3
            assert room.held_bytes == before, "all or nothing"
            continue
        taken.append((client, count))
        assert room.held_bytes == before + count <= SHARES[urgency] * ROOM_BYTES
        assert sum(c for who, c in taken if who == client) <= CLIENT_SHARE * ROOM_BYTES
    for client, count in taken:
        room.give_back(client, count)
    assert room.held_bytes == 0


@given(takes)
def test_there_is_always_room_for_what_is_more_urgent(
    wanted: list[tuple[str, Urgency, int]],
) -> None:
    """However much bulk and measurements are held, a play and a license of the reserve fit."""
    room = Room(ROOM_BYTES)
    for client, urgency, count in wanted:
        if urgency in {"bulk", "measurements"}:
            _refused(room, client, urgency, count)
    for urgency, above in (("interactions", 0.9 - 0.75), ("essential", 1 - 0.9)):
        assert room.has_room(urgency, int(above * ROOM_BYTES))


def test_one_client_leaves_room_for_others() -> None:
    room = Room(ROOM_BYTES)
    while (refused := _refused(room, "greedy", "interactions", 4_096)) is None:
        pass
    assert refused.problem.reason == "client-overloaded"
    room.take("modest", "bulk", 4_096)


@pytest.mark.parametrize(
    ("length", "priority", "start", "urgency"),
    [
        (300, "", b'{"type":"play"}', "interactions"),
        (300, "", b'[{"type": "heartbeat"},{"type" : "seek"}]', "interactions"),
        (300, "", b'{"type":"heartbeat"}\n{"type":"bandwidth"}', "measurements"),
        (300, "u=3", b'{"type":"pause"}', "interactions"),
        (300, "u=6", b'{"type":"pause"}', "bulk"),
        (300, "i, u=7", b'{"type":"pause"}', "bulk"),
        (300, "u=0", b'{"type":"heartbeat"}', "measurements"),
        (300, "", None, "measurements"),
        (300, "", b"", "measurements"),
        (LIVE_BODY_BYTES_MAX + 1, "u=0", b'{"type":"play"}', "bulk"),
        (None, "u=0", b'{"type":"play"}', "bulk"),
    ],
)
def test_the_class_of_a_post(
    length: int | None, priority: str, start: bytes | None, urgency: Urgency
) -> None:
    assert urgency_of("interactions", length, priority, start) == urgency


@given(st.integers(0, 1 << 21) | st.none(), st.text(max_size=20), st.binary(max_size=200))
def test_nothing_that_is_claimed_raises_a_post(
    length: int | None, priority: str, start: bytes
) -> None:
    order = {urgency: rank for rank, urgency in enumerate(URGENCIES)}
    claimed = urgency_of("measurements", length, priority, start)
    assert order[claimed] >= order[urgency_of("measurements", length)]
    assert urgency_of("license", length, priority, start) == "essential"


HEADS = st.sampled_from(
    [
        b"Host: x",
        b"Content-Length: 7",
        b"content-length:7",
        b"Content-Length : 7",
        b"Content-Length: +7",
        b"Content-Length: 7, 7",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Connection: close",
        b"Connection: keep-alive",
        b" folded: 1",
        b"X-A: 1\nContent-Length: 3",
        b"Upgrade: websocket",
    ]
)


@given(st.lists(HEADS, max_size=5), st.binary(max_size=20))
def test_a_request_is_framed_only_where_its_length_is_beyond_doubt(
    headers: list[bytes], rest: bytes
) -> None:
    """Two readers that disagree on a request's end are what smuggling is made of."""
    head = b"\r\n".join([b"POST /v1/events HTTP/1.1", *headers]) + b"\r\n\r\n"
    frame = frame_of(head + rest)
    plain = {b"Host: x", b"Content-Length: 7", b"content-length:7", b"Connection: keep-alive"}
    lengths = [each for each in headers if each.lower().startswith(b"content-length")]
    kept = [each for each in headers if each.startswith(b"Connection")]
    if set(headers) <= plain and len(lengths) <= 1 and len(kept) <= 1:
        assert frame is not None
        assert frame.total_bytes == len(head) + 7 * len(lengths)
    else:
        assert frame is None


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_door(data: bytes) -> None:
    door = _door(held_bytes=ROOM_BYTES)
    seen = door.see(data)
    if seen is not None:
        door.refusal(seen, data)


def _door(held_bytes: int, *, is_log_away: bool = False, is_license_full: bool = False) -> Door:
    work = Room(ROOM_BYTES)
    work.held_bytes = held_bytes
    return Door(
        work,
        Turns(),
        ROUTES,
        body_bytes_max=BODY_BYTES_MAX,
        is_log_away=lambda: is_log_away,
        lets_license_in=lambda: not is_license_full,
        on_silence=lambda: None,
    )


def _post(path: str, body: bytes = b'{"type":"heartbeat"}', *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _refusal(door: Door, request: bytes) -> bytes | None:
    seen = door.see(request)
    assert seen is not None
    return door.refusal(seen, request)


TOKEN = string.ascii_letters + "-_.0123"
PLAY = b'{"type":"play"}'


@pytest.mark.parametrize(
    ("held", "request_", "status"),
    [
        (0.0, _post("/v1/events"), None),
        (0.6, _post("/v1/events", b"x" * 20_000), b"503"),
        (0.6, _post("/v1/events"), None),
        (0.6, _post("/v1/events", PLAY, "Priority: u=6"), b"503"),
        (0.8, _post("/v1/events"), b"503"),
        (0.8, _post(f"/s/{TOKEN}/events"), b"503"),
        (0.8, _post(f"/s/{TOKEN}/events", PLAY), None),
        (0.8, _post(f"/s/{TOKEN}/events", PLAY, "Content-Encoding: gzip"), b"503"),
        (0.8, _post(f"/s/{TOKEN}/cmcd/one?x=1"), b"204"),
        (0.8, _post("/v1/edge/logs"), b"503"),
        (0.95, _post("/v1/events", PLAY), b"503"),
        (1.0, _post(f"/s/{TOKEN}/license"), None),
        (1.0, _post("/v1/sessions"), None),
        (1.0, _post(f"/s/{TOKEN}/eventsx"), None),
        (1.0, _post(f"/s/{TOKEN}/x/events"), None),
        (1.0, _post("/s/%2e%2e/events"), None),
        (1.0, _post("/v1/events", b"x" * (BODY_BYTES_MAX + 1)), None),
    ],
)
def test_the_door_turns_away_the_least_urgent_first(
    held: float, request_: bytes, status: bytes | None
) -> None:
    answer = _refusal(_door(int(held * ROOM_BYTES)), request_)
    assert (answer is None) == (status is None)
    if answer is not None and status is not None:
        assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "path", [f"/s/{TOKEN}/license", f"/s/{TOKEN}/license/device", "/v1/sessions"]
)
def test_the_door_turns_licenses_away_where_too_many_are_being_decided_and_only_these(
    path: str,
) -> None:
    door = _door(0, is_license_full=True)
    answer = _refusal(door, _post(path))
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 503")
    assert TOO_MANY.encode() in answer
    assert _refusal(door, _post("/v1/events")) is None
    assert _refusal(_door(ROOM_BYTES, is_log_away=True), _post(path)) is None


def test_a_refusal_at_the_door_says_what_others_say() -> None:
    for is_away, reason in ((False, b"overloaded"), (True, b"unavailable")):
        answer = _refusal(_door(ROOM_BYTES, is_log_away=is_away), _post("/v1/events", PLAY))
        assert answer is not None
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert b'"outcome":"not_stored"' in body
        assert b'"reason":"%b"' % reason in body
    door = _door(ROOM_BYTES)
    answers = [_refusal(door, _post("/v1/events")) or b"" for _ in range(9)]
    retries = {int(answer.split(b"\r\n")[1][13:]) for answer in answers}
    assert retries == {1, 2, 3}, "clients must not return in one wave"
