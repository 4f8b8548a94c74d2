"""What the three players really sent, pushed through the policies of bitrate and steering."""

import pytest

from agents.bitrate.controller import decide
from agents.bitrate.observation import observe_event
from agents.bitrate.population import Population
from agents.bitrate.state import SessionState, observe
from agents.steering.outcomes import CdnOrigin, outcome_of
from agents.steering.policy import bucket_of, initial_state, merge
from agents.steering.policy import decide as decide_order
from gateway.cmcd.events import CmcdSource, map_report
from gateway.cmcd.parser import parse_event_body
from schemas.events import Bandwidth, PlaybackEvent
from tests.builders import SESSION_ID, a_title
from tests.unit.bitrate.playing import playing
from tests.unit.cmcd.captured import PLAYERS, event_body


def captured(player: str) -> list[PlaybackEvent]:
    source = CmcdSource(session_id=SESSION_ID, instance="x")
    mapped = [map_report(report, source) for report in parse_event_body(event_body(player))]
    return [event for event in mapped if event is not None]


@pytest.mark.parametrize("player", PLAYERS)
def test_a_captured_run_gives_ceilings_of_the_ladder_only(player: str) -> None:
    title = a_title()
    played = playing(title)
    ladder = played.ladder
    state = SessionState()
    for event in captured(player):
        seen = observe_event(event, title, event.at_ms)
        if seen is not None:
            state = observe(state, seen)
            state, choice = decide(state, played, event.at_ms, Population())
            assert choice is None or choice.ceiling_kbps in ladder.ceilings_kbps
    assert state.ceiling_kbps is None or state.ceiling_kbps in ladder.ceilings_kbps


@pytest.mark.parametrize("player", PLAYERS)
def test_a_captured_run_moves_no_order_for_one_request_given_up(player: str) -> None:
    urls = [event.url for event in captured(player) if isinstance(event, Bandwidth)]
    origins = {url.split("/", 3)[2] for url in urls if url}
    cdns = tuple(CdnOrigin(name=host, url=f"http://{host}") for host in sorted(origins))
    assert cdns
    state = initial_state(tuple(cdn.name for cdn in cdns), None)
    counted = 0
    for event in captured(player):
        outcome = outcome_of(event, cdns, event.at_ms, None)
        if outcome is not None:
            counted += 1
            state = merge(state, outcome.cdn, bucket_of(outcome))
        state, _ = decide_order(state, event.at_ms)
    assert counted > 5
    assert state.version == 1
