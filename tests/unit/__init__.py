"""Pure parts, fast, without processes."""
