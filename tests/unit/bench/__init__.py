"""The benchmarks' own arithmetic, on made-up events."""
