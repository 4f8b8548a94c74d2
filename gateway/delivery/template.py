"""Manifests with blanks for what is the viewer's own: built once per shape, filled per request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from gateway.delivery.viewer import Viewer

# Private-use characters: no URL and no id holds them, and XML allows them.
ROOT_URL = "\ue000"
SESSION_ID = "\ue001"
SESSION_QUERY = f"?sid={SESSION_ID}"
"""Segments carry the session id, never the token; edges leave it out of cache keys."""


def fill(template: str, viewer: Viewer) -> str:
    """The manifest of this viewer. Root URL and session id need no escaping in XML or HLS."""
    assert not set("\"<>&' \n") & set(viewer.root_url + viewer.session_id)
    return template.replace(ROOT_URL, viewer.root_url).replace(SESSION_ID, viewer.session_id)


def printable(text: str) -> str:
    """A label as XML and HLS can hold it: no control character, no surrogate, no blank of ours."""
    return "".join(character for character in text if character.isprintable())


class TemplateCache:
    """The templates used last, bounded in characters."""

    def __init__(self, *, chars_max: int = 64_000_000) -> None:
        self._chars_max = chars_max
        self._chars = 0
        self._templates: OrderedDict[Hashable, str] = OrderedDict()

    def get_or_build(self, key: Hashable, build: Callable[[], str]) -> str:
        """The template of this key; `build` is called where it is not at hand."""
        template = self._templates.get(key)
        if template is not None:
            self._templates.move_to_end(key)
            return template
        template = build()
        self._templates[key] = template
        self._chars += len(template)
        while self._chars > self._chars_max:
            _, dropped = self._templates.popitem(last=False)
            self._chars -= len(dropped)
        return template
