"""Players in a real Chromium over recorded networks, with the product's ceilings and without."""
