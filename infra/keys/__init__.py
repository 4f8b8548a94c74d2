"""The deployment's own keys: made at its first start, kept in private files."""
