"""Everything that touches the world or starts a process."""
