"""The files that hold what components print."""

from pathlib import Path

from infra.supervisor.logs import TAIL_LINES_MAX, ComponentLog


def test_a_full_log_moves_aside_and_old_ones_are_dropped(tmp_path: Path) -> None:
    log = ComponentLog(tmp_path / "worker.log", bytes_max=20, files_kept=2)
    for number in range(6):
        log.write(b"line number %d\n" % number)
    log.close()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "worker.log": "line number 5\n",
        "worker.log.1": "line number 4\n",
        "worker.log.2": "line number 3\n",
    }


def test_a_restarted_component_goes_on_in_its_file(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = ComponentLog(tmp_path / "worker.log")
        log.write(text)
        log.close()
    assert (tmp_path / "worker.log").read_text() == "first\nsecond\n"


def test_the_tail_is_bounded_and_told_once(tmp_path: Path) -> None:
    log = ComponentLog(tmp_path / "worker.log")
    log.write(b"".join(b"%d\n" % number for number in range(100)))
    assert log.take_tail() == [str(number) for number in range(100 - TAIL_LINES_MAX, 100)]
    assert log.take_tail() == []
    log.close()


def test_a_log_that_cannot_be_written_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = ComponentLog(tmp_path / "logs" / "worker.log")
    log.write(b"lost\n")
    assert log.lost_count == 1
    assert log.take_tail() == ["lost"]
