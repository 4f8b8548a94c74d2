from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from infra.bench.recommendations.__main__ import main
from infra.bench.recommendations.events import Events, load_events
from infra.bench.recommendations.protocols import leave_one_out, prequential, targets
from infra.bench.recommendations.scores import Tally


def an_archive(folder: Path, *, repeats: bool = False, with_places: bool = False) -> Path:
    """Forty viewers of a list of thirty titles, each from another title on."""
    user: list[int] = []
    item: list[int] = []
    at_s: list[int] = []
    pos: list[int] = []
    for step in range(12):
        for viewer in range(40):
            user.append(viewer)
            item.append(100 + (viewer * 7 + (step % 6 if repeats else step)) % 30)
            at_s.append(1_000_000 if with_places else 1_000_000 + 60 * step + viewer)
            pos.append(step)
    path = folder / "events.npz"
    if with_places:
        np.savez(path, user=user, item=item, t=at_s, pos=pos)
    else:
        np.savez(path, user=user, item=item, t=at_s)
    return path


def silent(_: int) -> None:
    pass


def test_events_are_sorted_by_time_viewer_and_place(tmp_path: Path) -> None:
    events = load_events(an_archive(tmp_path, with_places=True))
    assert events.viewers[:12] == ["0"] * 12
    assert events.place[:12].tolist() == list(range(12))
    assert set(events.total.tolist()) == {12}
    assert not events.is_repeating
    assert load_events(an_archive(tmp_path, repeats=True)).is_repeating


def test_targets_are_a_seeded_part_and_no_first_event_where_titles_repeat(tmp_path: Path) -> None:
    events = load_events(an_archive(tmp_path, repeats=True))
    every = targets(events, 0.0, 1)
    assert every.sum() == 40 * 11
    some = targets(events, 0.5, 4)
    assert 0 < some.sum() < 240
    assert not some[:240].any()
    assert np.array_equal(some, targets(events, 0.5, 4))


@pytest.mark.parametrize("repeats", [False, True])
def test_a_list_is_continued(tmp_path: Path, repeats: bool) -> None:
    events = load_events(an_archive(tmp_path, repeats=repeats))
    found = prequential(events, 0.5, 1.0, 1, silent)
    assert found.n == 240
    assert found.hr_10 > 0.8
    assert found.ndcg_10 > 0.6
    assert found.coverage_10 > 0.5
    assert found.update_us_p99 > 0
    assert found.recommend_ms_p99 > 0


def test_until_reads_no_further(tmp_path: Path) -> None:
    events = load_events(an_archive(tmp_path))
    assert prequential(events, 0.5, 0.75, 1, silent).n == 120


def test_the_last_event_of_each_viewer_is_left_out_and_ranked(tmp_path: Path) -> None:
    events = load_events(an_archive(tmp_path))
    found = leave_one_out(events, silent)
    assert found.n == 40
    assert found.hr_10 > 0.9


def test_ties_count_half_and_what_may_not_be_offered_is_last() -> None:
    tally = Tally(4)
    tied = np.array([1.0, 1.0, 1.0, 0.0], dtype=np.float32)  # Places 0 to 2: as if second.
    tally.add(tied, 0, (0, 1), 9)
    tally.add(np.array([1.0, -np.inf], dtype=np.float32), 1, (0,), 2)
    found = tally.scores([1_000], [1_000_000])
    assert found.ndcg_10 == pytest.approx(1.0 / np.log2(3.0) / 2.0)
    assert found.mrr_20 == pytest.approx(0.25)
    assert (found.cold_n, found.cold_ndcg_10, found.coverage_10) == (1, 0.0, 0.5)
    assert (found.update_us_p50, found.recommend_ms_p99) == (1.0, 1.0)


def test_the_command_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, out = an_archive(tmp_path), tmp_path / "scores.json"
    where = ["--events", str(events), "--out", str(out)]
    assert main([*where, "--protocol", "prequential", "--from", "0.9", "--every", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == printed
    assert {"n", "hr@10", "ndcg@10", "recall@20", "mrr@20", "coverage@10"} <= set(printed)
    assert {"cold_ndcg@10", "update_us_p50", "recommend_ms_p99"} <= set(printed)
    missing = ["--events", str(tmp_path / "none.npz"), "--protocol", "leave-one-out"]
    assert main([*missing, "--out", str(out)]) == 1


def test_an_empty_score_is_all_zeros() -> None:
    assert Tally(3).scores([], []).ndcg_10 == 0.0


def test_events_know_their_length(tmp_path: Path) -> None:
    events: Events = load_events(an_archive(tmp_path))
    assert len(events) == 480
