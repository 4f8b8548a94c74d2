"""Settings: unknown names and values out of range stop the start with one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import SettingsError, explain_settings, load_settings


def test_defaults_need_no_environment(tmp_path: Path) -> None:
    settings = load_settings({}, tmp_path / ".env")
    assert settings.gateway_port == 8080
    assert settings.clickhouse_port == 8123
    assert settings.home_path.is_absolute()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# mine\nPLAYHEAD_KAFKA_PORT=1\nPLAYHEAD_NAMESPACE='a'\n")
    settings = load_settings({"PLAYHEAD_KAFKA_PORT": "2"}, dotenv)
    assert (settings.kafka_port, settings.namespace) == (2, "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLAYHEAD_KAFKA_PORT", "65536"),
        ("PLAYHEAD_KAFKA_PORT", "many"),
        ("PLAYHEAD_NAMESPACE", "With Space"),
        ("PLAYHEAD_LOG_FORMAT", "xml"),
        ("PLAYHEAD_LOOPBACK_REGION", "Germany"),
        ("PLAYHEAD_KAFKA_FSYNC", "perhaps"),
    ],
)
def test_a_value_out_of_range_is_one_clear_line(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({name: value}, tmp_path / ".env")
    assert str(refused.value).startswith(name)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PLAYHEAD_HOM is not a setting"):
        load_settings({"PLAYHEAD_HOM": "x"}, tmp_path / ".env")


def test_secrets_are_masked_and_origins_told(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("PLAYHEAD_LOG_LEVEL=debug\n")
    environment = {"PLAYHEAD_CLICKHOUSE": "http://u:hunter2@h/d"}
    explained = {s.name: s for s in explain_settings(environment, dotenv)}
    assert explained["PLAYHEAD_CLICKHOUSE"].value == "***"
    assert explained["PLAYHEAD_CLICKHOUSE"].origin == "environment"
    assert explained["PLAYHEAD_LOG_LEVEL"].origin == ".env"
    assert explained["PLAYHEAD_HOME"].origin == "default"
    assert all(setting.meaning for setting in explained.values())
