"""The real ClickHouse engine in its own confined process, behind its HTTP interface."""
