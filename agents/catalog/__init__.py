"""The catalog agent: the one writer of titles."""
