"""Rows that are stored keep comparing equal: the hash of a payload never changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import schemas
from tests.unit.analytics.tables import rows_of

HASHES = {
    "bitrate_changed.v1": 0xBA12_1F81_18B1_D12B,
    "buffered.v1": 0x6026_1F86_9E8A_E22A,
    "buffering.v1": 0x56DF_1762_42C5_A4C8,
    "error.v1": 0xA0F8_F09C_DCAA_2D68,
    "heartbeat.v1": 0xF17E_47BD_560C_B287,
    "interaction.v1": 0x7A6E_2C28_1C83_DEBC,
    "pause.v1": 0x60D7_762C_35D1_FA12,
    "play.v1": 0x815E_7975_E978_A570,
    "playing.v1": 0xE228_D909_85FA_7B16,
    "seek.v1": 0xC713_FA04_DDC6_CCB0,
    "seeked.v1": 0xACD5_9F57_D12B_DF0B,
    "stopped.v1": 0xE187_17A4_7351_B9DC,
    "warning.v1": 0x2400_2875_8A52_208C,
    "bandwidth.v1": 0x2E6C_BBD8_2340_1F94,
}


@pytest.mark.parametrize("name", HASHES)
def test_the_hash_of_an_event_is_what_it_was(name: str) -> None:
    (path,) = Path(schemas.__file__).parent.glob(f"examples/playback.*/{name}.json")
    (row,) = rows_of(path.read_bytes())
    assert row["payload_hash"] == HASHES[name]
