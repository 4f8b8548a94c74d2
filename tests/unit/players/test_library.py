"""Which players are served, and from where."""

import json
from pathlib import Path

from infra.players.library import SOURCE, player_files


def test_the_lock_pins_the_tested_players_with_hashes_and_names_no_host() -> None:
    text = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    versions = {
        name: packages[f"node_modules/{name}"]["version"]
        for name in ("shaka-player", "dashjs", "hls.js")
    }
    assert versions == {"shaka-player": "5.2.12", "dashjs": "5.2.1", "hls.js": "1.7.4"}
    assert all("integrity" in package for name, package in packages.items() if name)
    assert all("resolved" not in package for package in packages.values())


def test_each_player_is_one_file_below_the_runtime_folder(tmp_path: Path) -> None:
    files = player_files(tmp_path)
    assert set(files) == {"shaka", "dashjs", "hlsjs"}
    assert all(file.is_relative_to(tmp_path) and file.suffix == ".js" for file in files.values())
