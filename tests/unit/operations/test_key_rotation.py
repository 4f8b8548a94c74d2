"""Where a rotation stands, and what `doctor` says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from infra.operations.doctor.key_rotation import judge_key_rotation
from infra.operations.key_rotation import KeysInLog, RotationFailedError, _all_pieces
from schemas.envelope import Refused
from schemas.licenses import (
    KeyEncryptionKey,
    KeyRotation,
    RotateKeyEncryptionKey,
    WrappedKey,
)
from streams.requests import NoAnswerError, RefusedError

FIRST = KeyEncryptionKey(kek_id="1" * 32, version=1, root="file", wrapped=b"", created_at_ms=0)
SECOND = replace(FIRST, kek_id="2" * 32, version=2)
KEY = WrappedKey(
    key_id="a" * 32,
    content_id="tears",
    tier="sd",
    kek_version=1,
    wrapped=b"",
    created_at_ms=0,
    kek_id=FIRST.kek_id,
)
MOVED = replace(KEY, kek_version=2, kek_id=SECOND.kek_id)
OLD = replace(KEY, kek_id="")
RETIRED = replace(FIRST, retired_at_ms=1)


@pytest.mark.parametrize(
    ("keks", "keys", "is_done", "next_from"),
    [
        ((), (), True, ""),
        ((FIRST,), (KEY,), True, FIRST.kek_id),
        ((FIRST, SECOND), (KEY,), False, ""),
        ((FIRST, SECOND), (MOVED,), False, ""),
        ((RETIRED, SECOND), (MOVED,), True, SECOND.kek_id),
        ((RETIRED, SECOND), (KEY,), False, ""),
        ((), (OLD,), False, ""),
        ((SECOND,), (OLD,), False, ""),
    ],
)
def test_a_rotation_begins_only_where_none_is_under_way(
    keks: Sequence[KeyEncryptionKey], keys: Sequence[WrappedKey], is_done: bool, next_from: str
) -> None:
    where = KeysInLog(keks, keys).standing
    assert (where.is_done, where.next_from) == (is_done, next_from)


@pytest.mark.parametrize(
    ("keks", "keys", "has_old_file", "is_good", "says"),
    [
        ((), (), False, True, "no content key"),
        ((FIRST,), (KEY,), False, True, "version 1 wraps all 1"),
        ((FIRST, SECOND), (KEY,), False, False, "1 content keys do not lie under version 2"),
        ((SECOND,), (OLD,), False, False, "which is gone"),
        ((SECOND,), (MOVED,), True, True, "remove it"),
    ],
)
def test_doctor_says_what_is_left(
    keks: Sequence[KeyEncryptionKey],
    keys: Sequence[WrappedKey],
    has_old_file: bool,
    is_good: bool,
    says: str,
) -> None:
    finding = judge_key_rotation(KeysInLog(keks, keys), has_old_file=has_old_file)
    assert says in finding.says
    assert (not finding.mend) == is_good


class Worker:
    """Answers in this order."""

    def __init__(self, *answers: KeyRotation | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[RotateKeyEncryptionKey] = []

    async def ask(self, _: Any, __: str, body: Any, ___: Any, *, deadline_ms: int) -> KeyRotation:
        assert deadline_ms > 0
        self.asked.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_piece(rewrapped: int, left: int, **changes: Any) -> KeyRotation:
    piece = KeyRotation(kek_id=SECOND.kek_id, version=2, rewrapped=rewrapped, left=left)
    return replace(piece, **changes)


async def rotated(worker: Any) -> Any:
    heard: list[int] = []
    done = await _all_pieces(worker, FIRST.kek_id, lambda _, rewrapped: heard.append(rewrapped))
    return done, heard


async def test_pieces_are_asked_for_until_nothing_is_left() -> None:
    worker = Worker(
        a_piece(500, 700), NoAnswerError(""), a_piece(500, 200), a_piece(200, 0, retired=(1,))
    )
    done, heard = await rotated(worker)
    assert (done.version, done.rewrapped, done.retired, done.stuck) == (2, 1_200, (1,), ())
    assert heard == [500, 1_000, 1_200]
    assert {each.from_kek_id for each in worker.asked} == {FIRST.kek_id}, "it rotates once"


async def test_what_cannot_be_moved_ends_it_and_is_named() -> None:
    stuck = ("a" * 32,)
    done, _ = await rotated(Worker(a_piece(5, 1, stuck=stuck), a_piece(0, 1, stuck=stuck)))
    assert (done.rewrapped, done.stuck, done.retired) == (5, stuck, ())


async def test_silence_and_refusal_say_what_to_do() -> None:
    with pytest.raises(RotationFailedError, match="playhead status"):
        await rotated(Worker(*(NoAnswerError("") for _ in range(6))))
    refused = Refused(status=503, reason="key-service", detail="the token is out: put it in")
    with pytest.raises(RotationFailedError, match="put it in"):
        await rotated(Worker(RefusedError(refused)))
