from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infra.bench.watching
from infra.bench.watching.__main__ import main
from infra.bench.watching.audience import Audience, draw_plays
from infra.bench.watching.scenario import Audience as People
from infra.bench.watching.scenario import Catalog, Scenario, Season, read_scenario
from infra.bench.watching.scores import Score
from infra.bench.watching.shows import Shows
from infra.bench.watching.world import OPTIMUM, run

FOLDER = Path(infra.bench.watching.__file__).parent
SMALL = Scenario(
    name="small",
    days=20,
    catalog=Catalog(films=60, series=6, episodes=5, genres=4, people=20),
    audience=People(profiles=60, household_ratio=0.3),
)


@pytest.mark.parametrize("path", sorted((FOLDER / "scenarios").glob("*.json")), ids=str)
def test_every_scenario_is_one(path: Path) -> None:
    assert read_scenario(path).name == path.stem


def test_the_readme_explains_every_field() -> None:
    readme = (FOLDER / "README.md").read_text()
    parts: dict[str, type[msgspec.Struct]] = {
        "": Scenario,
        "catalog.": Catalog,
        "audience.": People,
        "seasons[].": Season,
    }
    for prefix, struct in parts.items():
        for field in msgspec.structs.fields(struct):
            if field.name not in {"catalog", "audience", "seasons"}:
                assert f"`{prefix}{field.name}`" in readme


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dayz": 3}, "unknown field `dayz`"),
        ({"days": 1}, "`$.days`"),
        ({"catalog": {"films": 0, "series": 0}}, "a film or a series"),
        ({"catalog": {"premieres_ratio": 1}}, "premieres_ratio must be below 1"),
        ({"catalog": {"series": 500, "episodes": 500}}, "250500 titles"),
        ({"audience": {"profiles": 200_000}}, "people times films"),
        ({"audience": {"sittings_per_day": 24}, "days": 3000}, "at most 2000000"),
        ({"audience": {"list_influence": 1.5}}, "`$.audience.list_influence`"),
        ({"seasons": [{"genre": 12}]}, "genre is 12"),
        ({"seasons": [{"genre": 0, "from_day": 5, "to_day": 5}]}, "after from_day"),
        ({"seasons": [{"genre": 0, "from_hour": 5, "to_hour": 5}]}, "equal"),
        ({"seasons": [{"genre": 0, "from_day": 60}]}, "after the end"),
    ],
)
def test_a_file_that_is_none_is_refused_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"name": "wrong"} | changes))
    assert main(["--scenario", str(path), "--out", str(tmp_path / "out.json")]) == 2
    assert said in capsys.readouterr().err


def test_a_season_is_on_at_its_days_and_hours() -> None:
    weekend_night = Season(genre=0, from_day=5, to_day=7, every_days=7, from_hour=22, to_hour=4)
    assert weekend_night.is_on(5 + 23 / 24)
    assert weekend_night.is_on(7 * 3 + 6 + 3 / 24)
    assert not weekend_night.is_on(5.5)
    assert not weekend_night.is_on(7 + 23 / 24)
    assert Season(genre=0, from_day=3).is_on(900.2)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1_000), st.integers(0, 59), st.floats(0, 19))
def test_chances_are_of_what_is_out_and_sum_to_one(seed: int, profile: int, day: float) -> None:
    rng = np.random.default_rng(seed)
    shows = Shows(SMALL, rng)
    chances = Audience(SMALL, shows, rng).situation(profile, 0, day).chances
    assert chances.sum() == pytest.approx(1.0)
    assert not chances[shows.released_day > day].any()
    is_later_episode = np.arange(shows.title_count) > shows.first_title[shows.show_of]
    assert not chances[is_later_episode].any()


def test_people_choose_as_their_chances_say_and_a_list_holds_them_to_it() -> None:
    rng = np.random.default_rng(3)
    shows = Shows(SMALL, rng)
    audience = Audience(SMALL, shows, rng)
    chances = audience.situation(7, 0, 1.5).chances
    chosen: list[int | None] = []
    for _ in range(4_000):
        audience.sit_down(7, 1.5, rng.random())
        chosen.append(audience.choose(7, 0, 1.5, [], rng.random()))
    shares = np.bincount(np.array(chosen), minlength=shows.title_count) / len(chosen)
    assert np.abs(shares - chances).max() < 0.03
    listed = np.argsort(-chances)[:3].tolist()
    assert all(audience.choose(7, 0, 1.5, listed, rng.random()) in listed for _ in range(50))


def test_the_next_episode_comes_after_the_one_before_and_a_dropped_show_never() -> None:
    rng = np.random.default_rng(4)
    shows = Shows(SMALL, rng)
    audience = Audience(SMALL, shows, rng)
    series = next(n for n in range(60, 66) if shows.released_day[shows.first_title[n]] < 0)
    first = int(shows.first_title[series])
    audience.sit_down(0, 0.0, 0.0)
    assert audience.watch(0, first, 0.999) == 1.0
    situation = audience.situation(0, 1, 0.0)
    assert situation.chances[first] == 0.0
    assert situation.chances[first + 1] > 0.0
    assert situation.is_next.nonzero()[0].tolist() == [first + 1]
    assert audience.watch(0, first + 1, 0.0) < 0.1
    later = audience.situation(0, 1, 0.0).chances
    assert not later[first : first + 5].any()


def test_plays_come_in_order_and_no_newcomer_before_arriving() -> None:
    plays = draw_plays(SMALL, np.random.default_rng(5))
    assert (np.diff(plays.day) >= 0).all()
    expected = 60 * (0.7 * 20 + 0.3 * 10) * 0.5 * 2
    assert len(plays.day) == pytest.approx(expected, rel=0.2)


def test_nothing_is_better_than_the_optimum_and_equal_runs_are_equal() -> None:
    scores = {name: run(SMALL, name, 2) for name in ("playhead", "popular", "random", OPTIMUM)}
    best = scores[OPTIMUM]
    assert best.share == best.cold_share == best.new_title_share == pytest.approx(1.0)
    shares = {name: each.share or 0.0 for name, each in scores.items()}
    assert shares["random"] < shares["popular"] < shares["playhead"] < 1.0
    assert all((share or 0.0) <= 1.0 + 1e-9 for share in scores["playhead"].share_by_period)
    assert _timeless(scores["playhead"]) == _timeless(run(SMALL, "playhead", 2))


def test_lists_are_only_used_where_the_scenario_says_so() -> None:
    people = msgspec.structs.replace(SMALL.audience, list_influence=0.0)
    alone = msgspec.structs.replace(SMALL, audience=people)
    ends = {run(alone, name, 50).completed_ratio for name in ("random", OPTIMUM)}
    assert len(ends) == 1
    assert run(SMALL, "random", 50).completed_ratio < run(SMALL, OPTIMUM, 50).completed_ratio


def test_the_command_writes_scores_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, out, plot = (tmp_path / name for name in ("a.json", "out.json", "out.svg"))
    scenario.write_bytes(msgspec.json.encode(SMALL))
    where = ["--scenario", str(scenario), "--out", str(out), "--plot", str(plot)]
    assert main([*where, "--policies", "model", "markov", "--every", "10"]) == 0
    found = json.loads(out.read_text())
    assert [each["policy"] for each in found["scores"]] == ["model", "markov"]
    assert len(found["scores"][0]["share_by_period"]) == 20
    assert plot.read_text().startswith("<svg")
    assert "markov" in capsys.readouterr().out
    assert main(["--schema"]) == 0
    assert "binge_boost" in capsys.readouterr().out


def _timeless(score: Score) -> Score:
    return msgspec.structs.replace(score, recommend_ms_p50=0.0, recommend_ms_p99=0.0)
