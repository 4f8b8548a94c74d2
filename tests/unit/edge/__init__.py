"""Unit tests of the CDN edge."""
