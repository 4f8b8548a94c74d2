"""The steering agent: which CDN first, from what players and edges tell of each."""
