"""Viewers that are not there: realistic load against a running gateway."""
