"""The set-up's decisions, without installing anything."""
