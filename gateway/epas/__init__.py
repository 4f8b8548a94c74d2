"""Eyevinn Player Analytics Specification (EPAS): its events as ours, and its answers."""
