"""How near recommendations come to the best ones, for simulated viewers whose tastes are known."""
