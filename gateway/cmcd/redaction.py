"""Takes session tokens out of URLs that are reported back, before anything is published."""

import re

_TOKEN_IN_PATH = re.compile(r"(/s/|%2[Ff]s%2[Ff])[^/?#%&\s]++")
_SIGNED_TOKEN = re.compile(r"eyJ[\w-]++\.[\w-]++\.[\w-]*+")


def redact_url(url: str) -> str:
    """The URL with ``/s/{token}/…`` as ``/s/-/…`` and any other signed token as ``-``."""
    if "/s/" in url or "%2" in url:  # looked for first, since hardly any URL has one
        url = _TOKEN_IN_PATH.sub(r"\1-", url)
    return _SIGNED_TOKEN.sub("-", url) if "eyJ" in url else url
