"""The recommendation agent: what to watch next, from what was watched."""
