"""The whole product: every component of `playhead run`, real players in a real browser."""
