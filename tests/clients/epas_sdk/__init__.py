"""The web SDK of EPAS as npm has it, by a lock."""
