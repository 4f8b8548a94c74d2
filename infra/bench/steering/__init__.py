"""Scores how viewers are spread over CDNs, by a simulator of thousands of them."""
