from gateway.delivery.template import ROOT_URL, SESSION_ID, TemplateCache, fill
from tests.unit.delivery.titles import a_viewer


def test_blanks_are_filled_with_what_is_the_viewers_own() -> None:
    text = fill(f"{ROOT_URL}/license?sid={SESSION_ID}", a_viewer())
    assert text == f"http://127.0.0.1:18080/s/TOKEN/license?sid={a_viewer().session_id}"


def test_a_template_is_built_once() -> None:
    cache = TemplateCache()
    built = [cache.get_or_build("key", lambda: f"{object()}") for _ in range(3)]
    assert len(set(built)) == 1


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache = TemplateCache(chars_max=20)
    cache.get_or_build("first", lambda: "1" * 8)
    cache.get_or_build("second", lambda: "2" * 8)
    cache.get_or_build("first", lambda: "not built")
    cache.get_or_build("third", lambda: "3" * 8)
    assert cache.get_or_build("first", lambda: "again") == "1" * 8
    assert cache.get_or_build("second", lambda: "again") == "again"
