"""A demo CDN edge: it serves titles from storage, and knows the gateway only by two routes."""
