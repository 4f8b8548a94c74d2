"""How well the recommendation model finds what is watched next, on recorded events."""
