"""Tests follow the promises P1 to P8, not the code."""
