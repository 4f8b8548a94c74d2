"""What an operator may write, and that no secret of it can be printed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.drm.upstreams import Axinom, DRMtoday, ReverseProxy
from infra.settings import SettingsError
from infra.wiring.drm_upstreams import read_drm_upstreams
from tests.unit.drm.entitlements import COMMUNICATION_KEY, SHARED_SECRET, a_proxy, an_axinom

SECRET_HEADER = "hunter2"
AXINOM = {
    "type": "axinom",
    "url": "https://widevine.example/AcquireLicense",
    "communication_key_id": "12196546-a312-4a4e-ab65-c19bccce1adf",
    "communication_key_file": "axinom.key",
}
DRMTODAY = {
    "type": "drmtoday",
    "url": "https://lic.example/license-proxy-widevine/cenc/?specConform=true",
    "merchant": "merchant-1",
    "key_id": "secret-1",
    "secret_file": "drmtoday.key",
    "has_variants": True,
}
PROXY = {"type": "proxy", "url": "http://127.0.0.1:9000/fps", "certificate_file": "fairplay.cer"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def put(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)

    put("axinom.key", base64.b64encode(COMMUNICATION_KEY) + b"\n")
    put("drmtoday.key", SHARED_SECRET.hex().encode())
    put("headers.json", json.dumps({"X-Api-Key": SECRET_HEADER}).encode())
    put("fairplay.cer", b"a certificate")
    put("short.key", base64.b64encode(b"short"))
    return tmp_path


def test_each_kind_is_read_with_what_its_files_hold(folder: Path) -> None:
    document = {
        "widevine": AXINOM,
        "playready": DRMTODAY,
        "fairplay": PROXY | {"headers_file": "headers.json"},
    }
    upstreams = read_drm_upstreams(json.dumps(document), folder)
    widevine, playready, fairplay = (upstreams[s] for s in ("widevine", "playready", "fairplay"))
    assert isinstance(widevine, Axinom)
    assert widevine.signing_key() == COMMUNICATION_KEY
    assert isinstance(playready, DRMtoday)
    assert playready.signing_key() == SHARED_SECRET
    assert isinstance(fairplay, ReverseProxy)
    assert fairplay.added_headers() == {"X-Api-Key": SECRET_HEADER}
    assert fairplay.certificate == b"a certificate"
    assert [u.checks_keys for u in (widevine, playready, fairplay)] == [True, True, False]
    shown = repr(upstreams)
    for secret in (base64.b64encode(COMMUNICATION_KEY).decode(), SHARED_SECRET.hex()):
        assert secret not in shown
    assert SECRET_HEADER not in shown


def test_the_setting_may_name_a_file_of_it(folder: Path) -> None:
    (folder / "drm.json").write_text(json.dumps({"widevine": AXINOM}))
    assert set(read_drm_upstreams(str(folder / "drm.json"), folder)) == {"widevine"}
    assert read_drm_upstreams("", folder) == {}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"nagra": AXINOM}, "nagra"),
        ({"widevine": AXINOM | {"type": "other"}}, "other"),
        ({"widevine": AXINOM | {"communication_key": "inline"}}, "communication_key"),
        ({"widevine": AXINOM | {"communication_key_file": "none.key"}}, "none.key"),
        ({"widevine": AXINOM | {"communication_key_file": "short.key"}}, "32 bytes or more"),
        ({"widevine": AXINOM | {"communication_key_file": "drmtoday.key"}}, "base64"),
        ({"widevine": AXINOM | {"communication_key_file": 7}}, "name of a file"),
        ({"widevine": DRMTODAY | {"secret_file": "axinom.key"}}, "in hex"),
        ({"widevine": DRMTODAY | {"algorithm": "none"}}, "none"),
        ({"fairplay": PROXY | {"headers_file": "axinom.key"}}, "headers_file"),
        ({"fairplay": PROXY | {"certificate_file": "gone.cer"}}, "gone.cer"),
        ("drm.json", "drm.json"),
    ],
)
def test_what_cannot_work_stops_the_start_with_one_line(
    folder: Path, document: Any, says: str
) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    if says == "base64":
        (folder / "drmtoday.key").write_bytes(b"not base64!")
    with pytest.raises(SettingsError, match=says) as refused:
        read_drm_upstreams(text, folder)
    assert str(refused.value).startswith("PLAYHEAD_DRM_UPSTREAMS: ")
    assert "\n" not in str(refused.value)


def test_a_secret_that_others_may_read_stops_the_start(folder: Path) -> None:
    (folder / "axinom.key").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_drm_upstreams(json.dumps({"widevine": AXINOM}), folder)


@pytest.mark.parametrize(
    "url",
    [
        "http://license.example/",
        "http://127.0.0.1.example/",
        "https://user:password@license.example/",
        "https://",
        "https:///path",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://license.example/#x",
        "",
    ],
)
def test_messages_go_to_https_or_to_this_machine_alone(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        an_axinom(url=url)


@pytest.mark.parametrize(
    "url", ["https://l.example/x?y=1", "http://localhost:1/", "http://[::1]:2/"]
)
def test_other_addresses_are_taken(url: str) -> None:
    assert an_axinom(url=url).url == url


@pytest.mark.parametrize(
    "headers",
    [{"X-A\r\nHost": "b"}, {"X-A": "b\r\nX-B: c"}, {"": "b"}, {"X-A": 1}, ["X-A"], {"X-ä": "b"}],
)
def test_headers_smuggle_nothing(headers: Any) -> None:
    with pytest.raises(ValueError, match="headers_file must hold"):
        a_proxy(headers)
