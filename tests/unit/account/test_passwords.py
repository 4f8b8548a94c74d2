from __future__ import annotations

import asyncio

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
