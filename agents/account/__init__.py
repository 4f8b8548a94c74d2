"""Accounts: who may sign in, with which profiles and which subscription."""
