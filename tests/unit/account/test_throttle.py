from __future__ import annotations

from agents.account.throttle import Throttle, ThrottleRules

RULES = ThrottleRules(free_failures=3, wait_ms_min=100, wait_ms_max=1000, accounts_max=2)


def failed(throttle: Throttle, count: int, account_id: str = "a", now_ms: int = 0) -> None:
    for _ in range(count):
        throttle.failed(account_id, now_ms)


def test_the_first_failures_are_free_and_the_wait_doubles_up_to_its_limit() -> None:
    throttle = Throttle(RULES)
    waits = []
    for _ in range(8):
        failed(throttle, 1)
        waits.append(throttle.wait_ms("a", 0))
    assert waits == [0, 0, 100, 200, 400, 800, 1000, 1000]
    assert throttle.wait_ms("a", 600) == 400
    assert throttle.wait_ms("a", 1000) == 0
    assert throttle.wait_ms("b", 0) == 0


def test_a_success_and_time_forget_the_failures() -> None:
    throttle = Throttle(RULES)
    failed(throttle, 5)
    throttle.succeeded("a")
    assert throttle.wait_ms("a", 0) == 0
    failed(throttle, 5)
    assert throttle.wait_ms("a", RULES.forget_ms) == 0
    failed(throttle, 1, now_ms=RULES.forget_ms)
    assert throttle.wait_ms("a", RULES.forget_ms) == 0


def test_only_so_many_accounts_are_remembered() -> None:
    throttle = Throttle(RULES)
    for account_id in ("a", "b", "c"):
        failed(throttle, 3, account_id)
    assert [throttle.wait_ms(a, 0) > 0 for a in ("a", "b", "c")] == [False, True, True]
