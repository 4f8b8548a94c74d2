from __future__ import annotations

import asyncio
import time
from math import sqrt
from statistics import fmean, variance

from agents.account.passwords import Argon2Passwords, BusyError


async def test_only_the_right_password_matches() -> None:
    passwords = Argon2Passwords(memory_kib=64, passes=1)
    kept = await passwords.hash("secret word")
    assert kept.startswith("$argon2id$")
    assert (await passwords.check("secret word", kept)).matches
    assert not (await passwords.check("another", kept)).matches
    assert not (await passwords.check("secret word", "")).matches
    assert not (await passwords.check("secret word", "no hash")).matches
    passwords.close()


async def test_a_hash_that_was_cheaper_is_made_anew() -> None:
    cheap, dear = (Argon2Passwords(memory_kib=kib, passes=1) for kib in (64, 128))
    checked = await dear.check("secret word", await cheap.hash("secret word"))
    assert checked.matches
    assert (await dear.check("secret word", checked.new_hash)).new_hash == ""
    cheap.close()
    dear.close()


async def test_more_than_may_wait_are_turned_away() -> None:
    passwords = Argon2Passwords(threads=1, waiting_max=2, memory_kib=4096, passes=2)
    answers = await asyncio.gather(*(passwords.hash("x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, BusyError) for answer in answers) == 3
    passwords.close()


CHECKS = 60
TOLD_APART_MIN = 6.0
"""Standard errors (Welch's t). On a busy machine 40 pairs of equal times stayed below 3; what fails
at once was 365 away."""


async def test_time_does_not_tell_a_wrong_password_from_an_unknown_account() -> None:
    """In processor time, which other processes hardly change; taken turn about."""
    passwords = Argon2Passwords(threads=1, memory_kib=2048, passes=1)
    kept = await passwords.hash("secret word")
    wrong, unknown = await _spent(passwords, kept, "")
    assert _distance(wrong, unknown) < TOLD_APART_MIN
    # What fails at once, as an account without a hash would, is told apart by the same measure.
    wrong, at_once = await _spent(passwords, kept, "no hash")
    assert _distance(wrong, at_once) > TOLD_APART_MIN
    passwords.close()


async def _spent(passwords: Argon2Passwords, *hashes: str) -> list[list[int]]:
    """Nanoseconds of each check, by hash; the slower half is left out: it was interrupted."""
    spent: list[list[int]] = [[] for _ in hashes]
    for _ in range(CHECKS):
        for kept, found in zip(hashes, spent, strict=True):
            before = time.process_time_ns()
            await passwords.check("another word", kept)
            found.append(time.process_time_ns() - before)
    return [sorted(each)[: CHECKS // 2] for each in spent]


def _distance(one: list[int], other: list[int]) -> float:
    error = sqrt(variance(one) / len(one) + variance(other) / len(other))
    return abs(fmean(one) - fmean(other)) / error
