"""Analytics: the session fold, and everything that happened into ClickHouse exactly once."""
