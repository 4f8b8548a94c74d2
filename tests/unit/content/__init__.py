"""Unit tests of packaging and demo content."""
