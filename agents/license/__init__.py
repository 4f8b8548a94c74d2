"""Licenses: which session may play what, with how many others, and with which keys."""
