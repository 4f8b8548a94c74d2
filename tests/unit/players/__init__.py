"""The lock of the player libraries."""
