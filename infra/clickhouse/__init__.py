"""The real ClickHouse engine in its own confined process, behind ClickHouse's own HTTP interface."""
