"""What of the libraries' talk reaches the log."""

from __future__ import annotations

import logging

from infra.logs import REPEATED_AFTER_S, Repetitions


def a_record(name: str, line: int, *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "client.py", line, "no node %s", values, None)


def test_a_library_says_the_same_once_in_a_while_and_how_often_it_would_have() -> None:
    now_s = [100.0]
    repetitions = Repetitions(lambda: now_s[0])
    assert repetitions.filter(a_record("aiokafka.client", 1, 1))
    assert not repetitions.filter(a_record("aiokafka.client", 1, 2))
    assert not repetitions.filter(a_record("aiokafka.client", 1, 3))
    assert repetitions.filter(a_record("aiokafka.client", 2, 1))
    now_s[0] += REPEATED_AFTER_S
    again = a_record("aiokafka.client", 1, 4)
    assert repetitions.filter(again)
    assert again.getMessage() == "no node 4 (and 2 more of these)"


def test_our_own_lines_are_all_written() -> None:
    repetitions = Repetitions(lambda: 100.0)
    assert all(repetitions.filter(a_record("gateway.sessions", 1, n)) for n in range(5))
