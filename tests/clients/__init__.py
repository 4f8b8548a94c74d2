"""Clients against a gateway that fails in every way, and against the real one."""
