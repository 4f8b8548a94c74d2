"""Dead letters: read, driven back to where they came from, or given up."""
