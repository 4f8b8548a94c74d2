"""The bitrate agent: a ceiling per session from what its network and buffer allow."""
