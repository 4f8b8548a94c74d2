"""The player libraries, fetched by the npm that came as a wheel."""

from infra.players.library import provide_players
from tests.integration.broker import runtime_folder


def test_the_three_players_are_fetched_once_and_are_browser_builds() -> None:
    files = provide_players(runtime_folder())
    heads = {player: file.read_text(encoding="utf-8")[:2000] for player, file in files.items()}
    assert "shaka" in heads["shaka"].lower()
    assert all(file.stat().st_size > 100_000 for file in files.values())
    before = {player: file.stat().st_mtime_ns for player, file in files.items()}
    again = provide_players(runtime_folder())
    assert {player: file.stat().st_mtime_ns for player, file in again.items()} == before
