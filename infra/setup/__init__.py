"""Makes a bare machine ready: the virtual environment and what is downloaded besides wheels."""
