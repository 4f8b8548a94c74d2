"""The broker's lock and settings, without a broker."""
