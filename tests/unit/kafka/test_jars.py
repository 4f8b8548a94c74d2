"""The lock of Kafka's jars."""

import hashlib
from pathlib import Path

import msgspec

from infra.kafka.jars import LOCK_FILE, Jar, class_path, damages, differences, read_lock

KAFKA = Jar(group_id="org.apache.kafka", artifact_id="kafka_2.13", version="4.4.0", sha256="a")
CLIENTS = Jar(group_id="org.apache.kafka", artifact_id="kafka-clients", version="4.4.0", sha256="b")


def test_the_committed_lock_is_complete_and_names_no_host() -> None:
    locked = {jar.artifact_id: jar for jar in read_lock()}
    assert locked["kafka_2.13"].version == locked["kafka-clients"].version == "4.4.0"
    assert all(len(jar.sha256) == 64 for jar in locked.values())
    assert "://" not in LOCK_FILE.read_text(encoding="utf-8")


def test_equal_sets_have_no_differences_whatever_their_order() -> None:
    assert differences([KAFKA, CLIENTS], [CLIENTS, KAFKA]) == []


def test_every_difference_is_named() -> None:
    older = msgspec.structs.replace(CLIENTS, version="3.9.1")
    changed = msgspec.structs.replace(KAFKA, sha256="c")
    found = differences([KAFKA, CLIENTS], [changed, older])
    assert found == [
        "org.apache.kafka:kafka-clients:4.4.0 is locked but was not resolved",
        "org.apache.kafka:kafka-clients:3.9.1 was resolved but is not locked",
        "org.apache.kafka:kafka_2.13:4.4.0 has another SHA-256 than the lock",
    ]


def test_a_missing_and_a_changed_jar_are_found(tmp_path: Path) -> None:
    content = b"jar"
    sound = msgspec.structs.replace(KAFKA, sha256=hashlib.sha256(content).hexdigest())
    sound.path(tmp_path).parent.mkdir(parents=True)
    sound.path(tmp_path).write_bytes(content)
    assert damages([sound], tmp_path) == []
    sound.path(tmp_path).write_bytes(b"another jar")
    assert damages([sound, CLIENTS], tmp_path) == [
        "org.apache.kafka:kafka_2.13:4.4.0 has changed",
        "org.apache.kafka:kafka-clients:4.4.0 is missing",
    ]


def test_the_class_path_holds_the_locked_jars_and_no_wildcard(tmp_path: Path) -> None:
    path = class_path(tmp_path, [KAFKA, CLIENTS])
    assert path.split(":") == [str(KAFKA.path(tmp_path)), str(CLIENTS.path(tmp_path))]
